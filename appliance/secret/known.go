package secret

import (
	"os"
	"path/filepath"
)

// Known is what the files of keys/ hold, for those who make sure that none of it
// is in what leaves the appliance.
func Known(home string) ([][]byte, error) {
	entries, err := os.ReadDir(folder(home))
	if err != nil {
		return nil, err
	}
	var list [][]byte
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(folder(home), e.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}

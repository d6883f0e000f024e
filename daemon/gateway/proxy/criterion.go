package proxy

import (
	"encoding/json"
	"fmt"

	"sealgate/appliance/model"
	"sealgate/daemon/gateway/waf"
)

// newCriteria compiles the match criteria of a rule that is no security policy's.
func newCriteria(s *model.Snapshot, raw []json.RawMessage) (waf.Criteria, error) {
	list := make([]waf.Criterion, len(raw))
	groups := make(map[string][]waf.IPEntry)
	for i := range raw {
		if json.Unmarshal(raw[i], &list[i]) != nil {
			return waf.Criteria{}, fmt.Errorf("match criterion %d is not of the declared shape", i+1)
		}
		for _, name := range list[i].IPGroups {
			if entries, ok := s.IPGroups[name]; ok && groups[name] == nil {
				groups[name] = make([]waf.IPEntry, len(entries))
				for j, e := range entries {
					groups[name][j] = waf.IPEntry(e)
				}
			}
		}
	}
	return waf.NewCriteria(list, groups)
}

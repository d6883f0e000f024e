package dump

import (
	"os"
	"strconv"
	"testing"

	"sealgate/appliance/seed"
)

// BenchmarkImport loads a dump that was made in memory; internal/bench has the
// figures of the whole.
func BenchmarkImport(b *testing.B) {
	scale, err := strconv.ParseFloat(os.Getenv("SEALGATE_BENCH_SCALE"), 64)
	if err != nil {
		scale = 0.05
	}
	src := freshIn(b, b.TempDir())
	if _, err := seed.Fill(b.Context(), src.Store, src.Secrets, seed.Options{Seed: 7, Scale: scale}); err != nil {
		b.Fatal(err)
	}
	_, data := export(b, src, Options{FailedArchives: true})
	to := targetIn(b, b.TempDir())
	b.SetBytes(int64(scale * seed.Unit))
	for b.Loop() {
		if _, err := take(b.Context(), to, data, ImportOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

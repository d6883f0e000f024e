package store

// Taken is what a merge did with one kind.
type Taken struct {
	Kind    Kind  `json:"kind"`
	Added   int64 `json:"added"`
	Kept    int64 `json:"kept"`    // were here, and stay as they were
	Changed int64 `json:"changed"` // were here, and took the dump's form
}

package shell

// Error is why the shell itself refuses or gives up, told for people. It never
// repeats a line, which may hold a secret.
type Error struct {
	Exit    int // the exit status
	Problem string
	Hint    string // what to do
}

func (e *Error) Error() string { return e.Problem }

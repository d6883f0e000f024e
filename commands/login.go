package commands

// MayLeave says whether a login of caller gets a real shell where the appliance
// is unsealed. Operators may look at the appliance, not at the machine.
func MayLeave(c Caller) bool { return c.Rights == Administrator }

// Knows says whether a line that begins with word is the appliance's, whatever
// the role: scripts say the same before and after an appliance is unsealed.
func Knows(word string) bool {
	return word == "?" || childNamed(everything().root, word) != nil
}

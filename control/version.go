package control

// Version is the release that a binary belongs to, stamped by the linker
// (-X sealgate/control.Version=…).
var Version = "dev"

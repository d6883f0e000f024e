package rootd

import "context"

// reboot asks systemd, which ends everything in order first.
func (s *service) reboot(context.Context, call) (any, error) {
	return nil, run("", "/usr/bin/systemctl", "--no-wall", "reboot")
}

package job

import (
	"context"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/licence"
	"sealgate/commands"
)

// licences reads those that are loaded, whether the role runs or not.
func licences(ctx context.Context, home appliance.Home) (commands.Licences, error) {
	held, err := licence.Loaded(ctx, home, time.Now())
	return commands.LicencesOf(held), err
}

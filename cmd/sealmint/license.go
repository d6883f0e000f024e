package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sealgate/appliance/seal"
)

type licenseCmd struct {
	Key        string   `required:"" placeholder:"FILE" help:"the NAME.key of sealmint keygen"`
	Feature    []string `placeholder:"NAME[=NUMBER]" help:"what is granted: unseal, …; may be repeated"`
	Gateways   int      `placeholder:"N" help:"how many gateways it lets register at a management server; licences add up"`
	Product    string   `default:"${product}" help:"what it is for (default ${product})"`
	NotAfter   string   `placeholder:"DATE" help:"the last day, YYYY-MM-DD (UTC), or a time as 2027-01-31T12:00:00Z; without it there is no end"`
	Challenge  string   `xor:"binding" placeholder:"CHALLENGE" help:"bind it to the appliance that shows this in unlock"`
	Deployment string   `xor:"binding" placeholder:"ID" help:"bind it to the appliances created with --deployment ID, the two servers of a pair for one"`
}

// features are all that is granted.
func (c *licenseCmd) features() ([]string, error) {
	features := c.Feature
	if c.Gateways != 0 {
		features = append(slices.Clone(features), fmt.Sprintf("%s=%d", seal.Gateways, c.Gateways))
	}
	if len(features) == 0 {
		return nil, errors.New("it would grant nothing: --feature NAME or --gateways N is needed")
	}
	return features, nil
}

func (c *licenseCmd) Run() error {
	private, err := readKey(c.Key)
	if err != nil {
		return err
	}
	features, err := c.features()
	if err != nil {
		return err
	}
	end, err := lastSecond(c.NotAfter)
	if err != nil {
		return err
	}
	key, err := seal.Mint(private, seal.Licence{
		ID: rand.Text()[:16], Product: c.Product, Features: features, Issued: time.Now().Unix(), NotAfter: end,
		Challenge: strings.ToUpper(c.Challenge), Deployment: c.Deployment,
	})
	if err != nil {
		return err
	}
	fmt.Println(key)
	return nil
}

// lastSecond is 0 for no end.
func lastSecond(date string) (int64, error) {
	if date == "" {
		return 0, nil
	}
	if day, err := time.Parse(time.DateOnly, date); err == nil {
		return day.AddDate(0, 0, 1).Unix() - 1, nil
	}
	at, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return 0, fmt.Errorf("--not-after %q is neither YYYY-MM-DD nor a time as 2027-01-31T12:00:00Z", date)
	}
	return at.Unix(), nil
}

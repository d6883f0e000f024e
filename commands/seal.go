package commands

import "context"

type sealCmd struct{}

func (sealCmd) Help() string {
	return `Sessions that have a real shell keep it until they end.`
}

func (sealCmd) Run(_ context.Context, e *Env) error {
	said := "sealed; sessions that have a shell keep it until they end\n"
	if e.Host.Status().Sealed {
		said = "it is sealed already\n"
	}
	if err := e.Host.Seal(e.Caller); err != nil {
		return err
	}
	return e.Out(sealed(e.Host.Status().Seal), said)
}

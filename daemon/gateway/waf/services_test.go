package waf_test

import (
	"fmt"
	"runtime"
	"testing"

	"sealgate/daemon/gateway/waf"
)

// Fifty web services with policies of their own share the compiled rules: each
// further one costs kilobytes.
func TestFiftyServicesShareTheRules(t *testing.T) {
	memory := waf.NewMemory()
	first := engine(t, everything(), memory)
	for _, q := range large() {
		q.through(first)
	}
	before := heap()
	var services []waf.Engine
	for i := range 50 {
		p := everything()
		p.Rules[0].Exceptions = []waf.PolicyException{{Predicates: []waf.Criterion{
			{Type: "httpRequestUrl", Match: "prefix", Values: []string{fmt.Sprintf("/editor-%d/", i)}}}}}
		services = append(services, engine(t, p, memory))
	}
	for _, s := range services {
		request{uri: injection}.through(s)
	}
	grown := heap() - before
	if grown > 10<<20 {
		t.Errorf("fifty services more take %d KiB", grown>>10)
	}
	if all := heap(); all > 250<<20 {
		t.Errorf("the heap is %d MiB", all>>20)
	}
	for i, s := range services {
		if v, _ := (request{uri: fmt.Sprintf("/editor-%d%s", i, injection)}).through(s); v.Block {
			t.Errorf("service %d has lost its exception", i)
		}
		if v, _ := (request{uri: fmt.Sprintf("/editor-%d%s", i+1, injection)}).through(s); !v.Block {
			t.Errorf("service %d has another's exception", i)
		}
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what Coraza pools goes in the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

package shell

import (
	"fmt"
	"math"
	"strings"
	"time"

	"sealgate/control"
)

const (
	redrawEvery = 100 * time.Millisecond
	// rateOver is the time constant of the smoothed rate: long enough to stand still,
	// short enough to notice a network that slowed down.
	rateOver    = 3 * time.Second
	sampleEvery = 200 * time.Millisecond
)

// progress computes the line that shows how far a command is.
type progress struct {
	now     control.Progress
	began   time.Time
	sampled time.Time
	at      int64 // Done when sampled
	rate    float64
	drawn   time.Time
}

// update takes a report and says whether it is time to draw.
func (p *progress) update(now time.Time, report control.Progress) bool {
	report.Label = filterLine(report.Label)
	if p.began.IsZero() || report.Label != p.now.Label || report.Done < p.now.Done {
		*p = progress{began: now, sampled: now, at: report.Done, drawn: p.drawn}
	}
	p.now = report
	if dt := now.Sub(p.sampled); dt >= sampleEvery {
		measured := float64(report.Done-p.at) / dt.Seconds()
		weight := 1 - math.Exp(-dt.Seconds()/rateOver.Seconds())
		if p.sampled == p.began {
			weight = 1
		}
		p.rate += weight * (measured - p.rate)
		p.sampled, p.at = now, report.Done
	}
	if now.Sub(p.drawn) < redrawEvery {
		return false
	}
	p.drawn = now
	return true
}

// line fits into width columns: what matters least goes first.
func (p *progress) line(width int) string {
	amount, percent, rate, rest := p.amount(), p.percent(), p.speed(), p.rest()
	for _, parts := range [][]string{
		{p.now.Label, percent, amount, rate, rest},
		{p.now.Label, percent, rate, rest},
		{p.now.Label, percent, rest},
		{p.now.Label, percent},
	} {
		if s := joined(parts); columns(s) <= width {
			return s
		}
	}
	if left := width - columns(percent) - 2; percent != "" && left > 0 {
		return joined([]string{cut(p.now.Label, left), percent})
	}
	return cut(p.now.Label, width)
}

func joined(parts []string) string {
	var some []string
	for _, s := range parts {
		if s != "" {
			some = append(some, s)
		}
	}
	return strings.Join(some, "  ")
}

func (p *progress) percent() string {
	if p.now.Total <= 0 {
		return ""
	}
	done := min(max(p.now.Done, 0), p.now.Total)
	return fmt.Sprintf("%3d%%", int(100*(float64(done)/float64(p.now.Total))))
}

func (p *progress) amount() string {
	done := quantity(float64(p.now.Done), p.now.Unit)
	if p.now.Total < 0 {
		return done
	}
	return done + " of " + quantity(float64(p.now.Total), p.now.Unit)
}

func (p *progress) speed() string {
	if p.rate <= 0 {
		return ""
	}
	return quantity(p.rate, p.now.Unit) + "/s"
}

func (p *progress) rest() string {
	if p.now.Total <= 0 || p.rate <= 0 || p.now.Done >= p.now.Total {
		return ""
	}
	s := math.Round(float64(p.now.Total-p.now.Done) / p.rate)
	if s >= 100*3600 {
		return "days left"
	}
	n := int(s)
	if n >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d left", n/3600, n/60%60, n%60)
	}
	return fmt.Sprintf("%d:%02d left", n/60, n%60)
}

// quantity writes bytes scaled (1 KiB = 1024 B) and everything else as it is.
func quantity(n float64, unit string) string {
	if unit != "B" {
		s := fmt.Sprintf("%.0f", n)
		if unit != "" {
			s += " " + filterLine(unit)
		}
		return s
	}
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%.0f B", n)
	}
	i := -1
	for n >= 1024 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return fmt.Sprintf("%.1f %ciB", n, units[i])
}

package sim

import "time"

// LoadProcess is what a process and all its descendants take. It is known on
// Linux only.
type LoadProcess struct {
	CPUSeconds    float64 `json:"cpu_seconds"` // user and system, since the load began
	CPUPerMessage float64 `json:"cpu_us_per_message"`
	RSS           int64   `json:"rss_bytes"`
	MaxRSS        int64   `json:"max_rss_bytes"` // of four samples a second
}

// processUse is what a process and all its descendants take at a time.
type processUse struct {
	cpu time.Duration // user and system, since they began
	rss int64         // bytes
}

// process is one that is measured.
type process struct {
	pid        int
	began, now processUse
	max        int64 // bytes
}

// measure begins to measure a process. It returns nil where that cannot be done.
func measure(pid int) *process {
	use, ok := useOf(pid)
	if !ok {
		return nil
	}
	return &process{pid: pid, began: use, now: use, max: use.rss}
}

// sample measures again. Of a process that has ended the last measurement stays.
func (p *process) sample() {
	if p == nil {
		return
	}
	if use, ok := useOf(p.pid); ok {
		p.now, p.max = use, max(p.max, use.rss)
	}
}

func (p *process) report(messages int) *LoadProcess {
	if p == nil {
		return nil
	}
	cpu := p.now.cpu - p.began.cpu
	r := &LoadProcess{CPUSeconds: cpu.Seconds(), RSS: p.now.rss, MaxRSS: p.max}
	if messages > 0 {
		r.CPUPerMessage = cpu.Seconds() * 1e6 / float64(messages)
	}
	return r
}

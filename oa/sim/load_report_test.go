package sim_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa/sim"
)

// The names in the JSON are a promise, and the table stands in columns.
func TestLoadReport(t *testing.T) {
	times := func(n int, ms float64) sim.LoadTimes {
		return sim.LoadTimes{Count: n, P50: ms, P90: 2 * ms, P99: 5 * ms, Max: 40 * ms}
	}
	r := sim.LoadReport{
		Seed: 7, Seconds: 20.5, Messages: 15000, Waiting: 3, Whole: 14980, Partial: 5, Failed: 2, Lost: 10, Silent: 4, Duplicates: 1, Notices: 3,
		WholeAfterTaps: [3]int{14000, 900, 80}, ByReply: 13000, OnDelivery: [3]int{12000, 900, 100}, ByFetch: 980, ByPush: 1000, Taps: 1100,
		Events: sim.LoadEvents{Sent: 500, Answered: 400, Acknowledged: 99}, Deliveries: 17123, PerMessage: 17123. / 15000, Timeouts: 1023, Pauses: 1,
		Problems: map[sim.Rule]int{sim.RuleTimeout: 1023, sim.RuleConnection: 12}, FirstContent: times(14985, 12.5), WholeAnswer: times(14980, 700),
		Model: &sim.LoadModel{Calls: 15000, PerMessage: 1, MostRunning: 4999}, Target: &sim.LoadProcess{CPUSeconds: 2.1, CPUPerMessage: 140, RSS: 60e6, MaxRSS: 75.5e6},
		Self: &sim.LoadProcess{CPUSeconds: 3.3, CPUPerMessage: 220, RSS: 80e6, MaxRSS: 95.5e6}, Lateness: times(17000, .03), OwnFaults: 12,
	}
	asJSON, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string]string{"testdata/load_report.json": string(asJSON) + "\n", "testdata/load_report.txt": r.String()} {
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-update writes it): -want +got:\n%s", file, diff)
		}
	}
	if r.OK() || !new(sim.LoadReport).OK() {
		t.Error("OK is wrong")
	}
}

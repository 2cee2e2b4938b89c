package sim

import (
	"maps"
	"slices"
	"time"
)

var statHandlers = map[string]handler{
	"stat_user_summary":  statUserSummary,
	"stat_user_cumulate": statUserCumulate,
}

// statState counts who came and went, by Beijing day and user_source.
type statState struct {
	days map[string]map[int]statChange
}

type statChange struct{ joined, left int }

func (s *statState) add(at time.Time, source, joined, left int) {
	if s.days == nil {
		s.days = map[string]map[int]statChange{}
	}
	day := inBeijing(at).Format(time.DateOnly)
	if s.days[day] == nil {
		s.days[day] = map[int]statChange{}
	}
	c := s.days[day][source]
	s.days[day][source] = statChange{joined: c.joined + joined, left: c.left + left}
}

// total is how many followers there are at the end of a day.
func (s *statState) total(day string) int {
	n := 0
	for d, sources := range s.days {
		if d > day {
			continue
		}
		for _, c := range sources {
			n += c.joined - c.left
		}
	}
	return n
}

const (
	statSpan  = 7 // days of a call
	statReady = 8 // the hour at which yesterday's data are there
)

// statDays reads and checks the days that are asked for (reference api-rules §17).
func (c *call) statDays() ([]string, error) {
	var req struct {
		BeginDate string `json:"begin_date"`
		EndDate   string `json:"end_date"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	begin, err1 := time.Parse(time.DateOnly, req.BeginDate)
	end, err2 := time.Parse(time.DateOnly, req.EndDate)
	now := inBeijing(c.p.now())
	yesterday := now.AddDate(0, 0, -1).Format(time.DateOnly)
	switch {
	case err1 != nil || err2 != nil:
		return nil, fail(61500)
	case end.Before(begin) || end.Sub(begin) >= statSpan*24*time.Hour || req.EndDate > yesterday:
		return nil, fail(61501)
	case req.EndDate == yesterday && now.Hour() < statReady:
		return nil, fail(61503)
	}
	var days []string
	for d := begin; !d.After(end); d = d.AddDate(0, 0, 1) {
		days = append(days, d.Format(time.DateOnly))
	}
	return days, nil
}

func statUserSummary(c *call) (any, error) {
	days, err := c.statDays()
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, day := range days {
		sources := c.account.stats.days[day]
		for _, source := range slices.Sorted(maps.Keys(sources)) {
			list = append(list, map[string]any{
				"ref_date": day, "user_source": source, "new_user": sources[source].joined, "cancel_user": sources[source].left,
			})
		}
	}
	return map[string]any{"list": list}, nil
}

func statUserCumulate(c *call) (any, error) {
	days, err := c.statDays()
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, day := range days {
		list = append(list, map[string]any{"ref_date": day, "user_source": 0, "cumulate_user": c.account.stats.total(day)})
	}
	return map[string]any{"list": list}, nil
}

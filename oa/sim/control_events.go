package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// pingEvery is how often a stream without events sends something, so that a
// connection that is gone is noticed.
const pingEvery = 15 * time.Second

// shownEvent is an [Event] with durations as strings.
type shownEvent struct {
	Event
	Delivery *shownDelivery `json:"delivery,omitempty"`
	Call     *shownCall     `json:"call,omitempty"`
}

type shownDelivery struct {
	*DeliveryNote
	Elapsed duration `json:"elapsed"`
}

type shownCall struct {
	*Call
	Elapsed duration `json:"elapsed"`
}

func showEvent(e Event) shownEvent {
	j := shownEvent{Event: e}
	if e.Delivery != nil {
		j.Delivery = &shownDelivery{e.Delivery, rounded(e.Delivery.Elapsed)}
	}
	if e.Call != nil {
		j.Call = &shownCall{e.Call, rounded(e.Call.Elapsed)}
	}
	return j
}

// streamEvents writes the platform's events as server-sent events: those of an
// account and a follower, if the parameters account and openid say so. It begins
// after the event with the number after, or that the browser saw last, or else
// now.
func (c *Control) streamEvents(w http.ResponseWriter, r *http.Request) {
	seen, err := c.beginning(r)
	if err != nil {
		writeControlError(w, err)
		return
	}
	query := r.URL.Query()
	appID, openID := query.Get("account"), query.Get("openid")
	if a, ok := c.platform.Account(appID); ok {
		appID = a.Config().AppID // it may be asked for by its original ID
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx holds streams back otherwise
	stream := http.NewResponseController(w)
	if stream.Flush() != nil {
		return
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		events, changed := c.platform.Events(seen)
		for _, e := range events {
			seen = e.Seq
			if (appID == "" || appID == e.AppID) && (openID == "" || openID == e.OpenID) && writeEvent(w, e) != nil {
				return
			}
		}
		if stream.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-ping.C:
			if _, err := fmt.Fprint(w, ": ping\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
		select {
		case <-c.platform.life.Done():
			return
		default:
		}
	}
}

// beginning is the number of the last event that is not wanted.
func (c *Control) beginning(r *http.Request) (int64, error) {
	o := &order{Request: r, c: c}
	if r.URL.Query().Has("after") {
		return o.after()
	}
	if n, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 62); err == nil {
		return n, nil
	}
	events, _ := c.platform.Events(0)
	if len(events) == 0 {
		return 0, nil
	}
	return events[len(events)-1].Seq, nil
}

func writeEvent(w http.ResponseWriter, e Event) error {
	data, err := json.Marshal(showEvent(e))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Type, data)
	return err
}

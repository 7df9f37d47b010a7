package alerts

import (
	"errors"
	"testing"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

func alert(name string, state promv1.AlertState) promv1.Alert {
	return promv1.Alert{Labels: model.LabelSet{model.AlertNameLabel: model.LabelValue(name)}, State: state}
}

// TestWhatFires: an alert that only waits does not fire, one that comes back is
// another episode, and a look that failed says nothing.
func TestWhatFires(t *testing.T) {
	t.Parallel()
	w, err := newWatcher("http://127.0.0.1:1", "/the/home")
	if err != nil {
		t.Fatal(err)
	}
	disk := alert("Disk", promv1.AlertStateFiring)
	disk.Labels["mountpoint"] = "/somebody/else"
	at := time.Now()
	for second, look := range []struct {
		alerts []promv1.Alert
		err    error
		firing int
	}{
		{alerts: []promv1.Alert{alert("A", promv1.AlertStatePending), disk}},
		{alerts: []promv1.Alert{alert("A", promv1.AlertStateFiring), alert("B", promv1.AlertStatePending)}, firing: 1},
		{err: errors.New("refused"), firing: 1},
		{alerts: []promv1.Alert{alert("B", promv1.AlertStateFiring)}, firing: 1},
		{alerts: []promv1.Alert{alert("A", promv1.AlertStateFiring)}, firing: 1},
		{},
	} {
		w.note(look.alerts, look.err, at.Add(time.Duration(second)*time.Second))
		if got := w.names(); len(got) != look.firing {
			t.Errorf("after look %d there fire %v, want %d", second, got, look.firing)
		}
	}
	got := w.since(at)
	if len(got) != 3 || got[0].alert != "A" || got[1].alert != "B" || got[2].alert != "A" {
		t.Fatalf("episodes are %+v", got)
	}
	if fired, lasted := got[0].fired.Sub(at), got[0].gone.Sub(got[0].fired); fired != time.Second || lasted != 2*time.Second {
		t.Errorf("the first began after %s and lasted %s", fired, lasted)
	}
	if later := w.since(at.Add(3 * time.Second)); len(later) != 1 {
		t.Errorf("%d began after the fourth look, want 1", len(later))
	}
}

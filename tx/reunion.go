package tx

import "time"

// When many write at once, those whose group was just flushed are about to come back, while as many wait in the open group
// already. Sealing it at once would leave two halves that take turns; a short wait makes them one. A reunion is
// that wait. It ends when nearly all are back, and is left out for a while when they did not come. A lone writer is never
// made to wait, because nobody else is in the open group when its flush ends. flushMu protects it.
type reunion struct {
	target int // functions that the open group waits for; 0 while it does not
	skip   int // flushes after which nobody is waited for
	misses int // how often in a row they did not come
	timer  *time.Timer
}

// A reunion lasts at most one in gatherShare of the flush before it, and gatherMax.
const (
	gatherShare = 4
	gatherMax   = 500 * time.Microsecond
)

// begin starts a reunion when a flush of done functions, which took so long, has ended and waiting are in the open group. It
// returns false when that should be sealed now.
func (r *reunion) begin(done, waiting int, took time.Duration, expired func()) bool {
	if r.skip > 0 {
		r.skip--
		return false
	}
	r.target = (done + waiting) * 7 / 8
	if r.target <= waiting {
		r.target = 0
		return false
	}
	wait := min(took/gatherShare, gatherMax)
	if r.timer == nil {
		r.timer = time.AfterFunc(wait, expired)
	} else {
		r.timer.Reset(wait)
	}
	return true
}

// end ends the reunion: enough have come, or not.
func (r *reunion) end(enough bool) {
	if r.target == 0 {
		return
	}
	r.target = 0
	if enough {
		r.misses = 0
		r.timer.Stop()
		return
	}
	r.skip = 1 << min(r.misses, 6)
	r.misses++
}

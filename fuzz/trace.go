package fuzz

import (
	"fmt"
	"sync"

	"mmdb/mmapfile"
)

// An EventKind says what happened at one point of a trace.
type EventKind uint8

// The kinds of events. A flush is two events, because a crash may fall between
// them. A mark changes only what a crash may leave behind.
const (
	EventCreate EventKind = iota
	EventWrite
	EventSize // truncated or extended to Size
	EventPunch
	EventRename
	EventRemove
	EventFlushStart
	EventFlushEnd
	EventMark
)

var eventNames = [...]string{"create", "write", "size", "punch", "rename", "remove", "flushStart", "flushEnd", "mark"}

// An Event is one thing that a run did to its files, in the order in which it
// did them.
type Event struct {
	Kind   EventKind
	Path   string
	To     string // rename: the new path
	Op     mmapfile.OpKind
	Offset int64
	Length int64 // bytes of a write, a hole or a flushed range
	Size   int64 // EventSize
	Data   []byte
	Flush  int  // the number of a flush, which its two events share
	Failed bool // the call returned an error

	Accept []int // mark: the states that may be found from now on, oldest first
	Alive  []int // mark: those of them that may be found when only the process has died; nil: all
	Absent bool  // mark: the database may be missing or new
	Copy   int   // mark: state that the copy at Path must hold
}

// String returns the event in one line.
func (e Event) String() string {
	s := eventNames[e.Kind]
	switch e.Kind {
	case EventWrite, EventPunch:
		s += fmt.Sprintf(" %s [%d, +%d)", e.Path, e.Offset, e.Length)
	case EventSize:
		s += fmt.Sprintf(" %s to %d", e.Path, e.Size)
	case EventMark:
		s += fmt.Sprintf(" accept %v, if only the process died %v, absent %v %s", e.Accept, e.alive(), e.Absent, e.Path)
	case EventRename:
		s += " " + e.Path + " to " + e.To
	default:
		s += fmt.Sprintf(" %s %s [%d, +%d)", e.Path, e.Op, e.Offset, e.Length)
	}
	if e.Failed {
		s += " failed"
	}
	return s
}

// alive returns the states that may be found after a mark when only the process has died.
func (e *Event) alive() []int {
	if e.Alive != nil {
		return e.Alive
	}
	return e.Accept
}

// A Trace is everything that a run did to its files, with copies of the data,
// and what the run promised on the way.
type Trace struct {
	DB     string   // path of the database
	Base   []byte   // the database on the disk at the start; nil when there was none
	Cached []byte   // what the run saw of it, when that was more than the disk had
	Events []Event  // in order
	States []*Model // what Event.Accept counts
}

// A Recorder makes a trace of what passes the seam. It is safe for concurrent
// use. It implements Observer.
type Recorder struct {
	mu     sync.Mutex
	events []Event
	acked  int // newest state that was promised to survive a power loss
	kept   int // newest state that was promised to survive the process
	last   int // newest state that was started
	sizes  map[string]int64
	number int // of flushes
	next   mmapfile.Seam
	plain  bool
}

// Knows tells the recorder the size in bytes of a file that is there already.
func (r *Recorder) Knows(path string, size int64) *Recorder {
	r.sizes[path] = size
	return r
}

// NewRecorder returns a recorder that passes calls on to next, or does them
// when next is nil. Until a state is acknowledged, the database may be absent.
func NewRecorder(next mmapfile.Seam) *Recorder {
	r := &Recorder{next: next, sizes: map[string]int64{}, acked: -1, kept: -1}
	r.add(Event{Kind: EventMark, Accept: []int{0}, Absent: true, Copy: -1})
	return r
}

// WithoutData makes the recorder forget the bytes of writes: enough to look at
// their order.
func (r *Recorder) WithoutData() *Recorder {
	r.plain = true
	return r
}

// Events returns the events so far. The caller must not change them.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events
}

func (r *Recorder) add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// Started is called when the commit of a state may reach the disk.
func (r *Recorder) Started(state int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = state
	r.mark()
}

// Acked is called when the database promised a state.
func (r *Recorder) Acked(state int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked, r.kept, r.last = state, state, max(r.last, state)
	r.mark()
}

// Kept is called when the database promised a state, but not beyond a power loss.
func (r *Recorder) Kept(state int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept, r.last = state, max(r.last, state)
	r.mark()
}

// Found is called when an open database turned out to hold a state: what was
// started after it is lost for good.
func (r *Recorder) Found(state int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked, r.kept, r.last = state, state, state
	r.mark()
}

// mark says what may be found from now on: the promised state, or one that
// was started after it.
func (r *Recorder) mark() {
	e := Event{Kind: EventMark, Absent: r.acked < 0, Copy: -1}
	for s := max(r.acked, 0); s <= r.last; s++ {
		e.Accept = append(e.Accept, s)
		if s >= r.kept {
			e.Alive = append(e.Alive, s)
		}
	}
	r.events = append(r.events, e)
}

// Accept adds a mark with these states.
func (r *Recorder) Accept(states ...int) { r.Mark(states, nil) }

// Mark adds a mark with these states, and those of them that may be found when only the process has died; nil: all.
func (r *Recorder) Mark(accept, alive []int) {
	r.add(Event{Kind: EventMark, Accept: accept, Alive: alive, Copy: -1})
}

// Copied is called when path was promised to hold a state. A path that the
// seam never saw is left out.
func (r *Recorder) Copied(path string, state int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.sizes[path]; ok {
		e := r.events[len(r.events)-1]
		for i := len(r.events) - 1; e.Kind != EventMark; i-- {
			e = r.events[i]
		}
		e.Kind, e.Path, e.Copy = EventMark, path, state
		r.events = append(r.events, e)
	}
}

// Seam records an operation around the call of it.
func (r *Recorder) Seam(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	if r.next != nil {
		inner := do
		do = func(op mmapfile.Op) (int, error) { return r.next(op, inner) }
	}
	switch op.Kind {
	case mmapfile.OpStart: // an image may hold what was written, whether or not it was told to set out
		return do(op)
	case mmapfile.OpSync, mmapfile.OpMsync, mmapfile.OpSyncDir:
		e := Event{Kind: EventFlushStart, Op: op.Kind, Path: op.Path, Offset: op.Offset, Length: op.Length, Flush: r.nextFlush()}
		r.add(e)
		n, err := do(op)
		e.Kind, e.Failed = EventFlushEnd, err != nil
		r.add(e)
		return n, err
	case mmapfile.OpWrite:
		return r.write(op, do)
	}
	n, err := do(op)
	if err == nil {
		r.note(op)
	}
	return n, err
}

// nextFlush returns the number of a flush: there may be several at once.
func (r *Recorder) nextFlush() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	return r.number
}

// write records what was really written. The bytes are copied first: the
// caller owns them again as soon as the call returns.
func (r *Recorder) write(op mmapfile.Op, do func(mmapfile.Op) (int, error)) (int, error) {
	var data []byte
	length := 0
	for _, b := range op.Data {
		length += len(b)
		if !r.plain {
			data = append(data, b...)
		}
	}
	n, err := do(op)
	if n = min(n, length); n <= 0 {
		return n, err
	}
	if !r.plain {
		data = data[:n]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sizes[op.Path] = max(r.sizes[op.Path], op.Offset+int64(n))
	r.events = append(r.events, Event{Kind: EventWrite, Op: op.Kind, Path: op.Path, Offset: op.Offset, Length: int64(n), Data: data})
	return n, err
}

// note records a call that succeeded and moves no data.
func (r *Recorder) note(op mmapfile.Op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Event{Op: op.Kind, Path: op.Path, Offset: op.Offset, Length: op.Length}
	switch op.Kind {
	case mmapfile.OpCreate:
		e.Kind = EventCreate
		r.sizes[op.Path] = 0
	case mmapfile.OpTruncate:
		e.Kind, e.Size = EventSize, op.Length
		r.sizes[op.Path] = op.Length
	case mmapfile.OpAllocate:
		e.Kind, e.Size = EventSize, max(r.sizes[op.Path], op.Offset+op.Length)
		r.sizes[op.Path] = e.Size
	case mmapfile.OpPunch:
		e.Kind = EventPunch
	case mmapfile.OpRemove:
		e.Kind = EventRemove
		delete(r.sizes, op.Path)
	case mmapfile.OpRename:
		e.Kind, e.To = EventRename, op.To
		r.sizes[e.To] = r.sizes[op.Path]
		delete(r.sizes, op.Path)
	default:
		panic(fmt.Sprintf("fuzz: seam invariant: unknown operation %d", op.Kind))
	}
	r.events = append(r.events, e)
}

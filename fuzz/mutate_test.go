package fuzz

import (
	"errors"
	"slices"
	"testing"

	"mmdb"
	"mmdb/mmapfile"
)

// commits cuts a trace at its acknowledgements: each element is the range of
// events from the mark that a commit starts to the mark that it was promised.
func commits(tr *Trace) [][2]int {
	var out [][2]int
	start := -1
	for i, e := range tr.Events {
		switch {
		case e.Kind != EventMark:
		case len(e.Accept) == 2:
			start = i
		case start >= 0:
			out = append(out, [2]int{start, i})
			start = -1
		}
	}
	return out
}

// isMeta reports whether e writes a meta slot.
func isMeta(e Event) bool { return e.Kind == EventWrite && e.Offset < metaEnd }

func isData(e Event) bool { return e.Kind == EventWrite && e.Offset >= metaEnd }

func isFlush(e Event) bool { return e.Kind == EventFlushStart || e.Kind == EventFlushEnd }

// dropped returns the events without those of the n-th commit that drop names.
func dropped(tr *Trace, n int, drop func(Event) bool) []Event {
	c := commits(tr)[n]
	events := slices.Clone(tr.Events[:c[0]])
	for _, e := range tr.Events[c[0]:c[1]] {
		if !drop(e) {
			events = append(events, e)
		}
	}
	return append(events, tr.Events[c[1]:]...)
}

// A mutation turns the trace of a sound run into one of a broken engine.
type mutation struct {
	name    string
	options mmdb.Options
	mutate  func(tr *Trace) []Event
}

var mutations = []mutation{
	{"no flush in one commit", mmdb.Options{}, func(tr *Trace) []Event {
		return dropped(tr, 4, isFlush)
	}},
	{"no flush at all", mmdb.Options{}, func(tr *Trace) []Event {
		return slices.DeleteFunc(slices.Clone(tr.Events), isFlush)
	}},
	{"data of one commit never written", mmdb.Options{}, func(tr *Trace) []Event {
		return dropped(tr, 4, isData)
	}},
	{"meta of one commit never written", mmdb.Options{}, func(tr *Trace) []Event {
		return dropped(tr, 4, isMeta)
	}},
	{"acknowledged before the flush", mmdb.Options{}, func(tr *Trace) []Event {
		c := commits(tr)[4]
		events := slices.Clone(tr.Events)
		ack := events[c[1]]
		return slices.Insert(slices.Delete(events, c[1], c[1]+1), c[0]+1, ack)
	}},
	{"meta before data, two flushes", mmdb.Options{TwoPhase: true}, func(tr *Trace) []Event {
		c := commits(tr)[4]
		events := slices.Clone(tr.Events)
		part := events[c[0]+1 : c[1]]
		slices.SortStableFunc(part, func(a, b Event) int {
			order := func(e Event) int {
				if isMeta(e) {
					return 0
				}
				return 1
			}
			return order(a) - order(b)
		})
		return events
	}},
	{"two flushes, the first left out", mmdb.Options{TwoPhase: true}, func(tr *Trace) []Event {
		c := commits(tr)[4]
		events := slices.Clone(tr.Events)
		first := c[0] + slices.IndexFunc(events[c[0]:], isFlush)
		return slices.Delete(events, first, first+2)
	}},
	{"a live page is written again", mmdb.Options{}, overwriteLive},
	{"the other meta slot", mmdb.Options{}, overwriteNewestMeta},
	{"one sector lost after the flush", mmdb.Options{}, func(tr *Trace) []Event {
		c := commits(tr)[4]
		events := slices.Clone(tr.Events)
		i := c[0] + slices.IndexFunc(events[c[0]:], isData)
		hole := Event{Kind: EventWrite, Path: tr.DB, Offset: events[i].Offset, Length: sector, Data: make([]byte, sector)}
		return slices.Insert(events, c[1], hole, flushEvent(tr, EventFlushStart), flushEvent(tr, EventFlushEnd))
	}},
	{"the directory is not flushed", mmdb.Options{}, func(tr *Trace) []Event {
		return slices.DeleteFunc(slices.Clone(tr.Events), func(e Event) bool { return isFlush(e) && e.Op == mmapfile.OpSyncDir })
	}},
	{"flushes do not reach the end", mmdb.Options{}, func(tr *Trace) []Event {
		events := slices.Clone(tr.Events)
		for i := range events {
			if isFlush(events[i]) && events[i].Op == mmapfile.OpMsync {
				events[i].Length -= 4096
			}
		}
		return events
	}},
}

func flushEvent(tr *Trace, k EventKind) Event {
	return Event{Kind: k, Op: mmapfile.OpSync, Path: tr.DB}
}

// overwriteLive lets a commit write its first page over one that the commit
// before it wrote, as a free list that reuses too soon would: it crashes
// between the two.
func overwriteLive(tr *Trace) []Event {
	all := commits(tr)
	events := slices.Clone(tr.Events)
	before := all[4][0] + slices.IndexFunc(events[all[4][0]:], isData)
	i := all[5][0] + slices.IndexFunc(events[all[5][0]:], isData)
	e := events[i]
	e.Offset, e.Length, e.Data = events[before].Offset, 4096, e.Data[:4096]
	return slices.Insert(events, i, e)
}

// overwriteNewestMeta lets a commit write its meta over the newest one.
func overwriteNewestMeta(tr *Trace) []Event {
	all := commits(tr)
	events := slices.Clone(tr.Events)
	newest := int64(0)
	for _, c := range all[:5] {
		for _, e := range events[c[0]:c[1]] {
			if isMeta(e) {
				newest = e.Offset
			}
		}
	}
	c := all[5]
	i := c[0] + slices.IndexFunc(events[c[0]:c[1]], isMeta)
	events[i].Offset = newest
	return events
}

// TestCrashFindsMutations shows that the suite has teeth.
func TestCrashFindsMutations(t *testing.T) {
	var ops []Op
	for i := range 8 {
		key := []byte{'k', byte('a' + i%5)}
		ops = append(ops, Op{Kind: OpPut, Path: []string{"A"}, Key: key, Size: 600 * (1 + i%3), Seed: uint32(i + 1)}, Op{Kind: OpCommit})
	}
	for _, o := range []mmdb.Options{{}, {TwoPhase: true}} {
		if brief() {
			break // other tests crash sound runs too
		}
		report, err := crashAll(t, traceOf(t, o, ops), CrashConfig{Seed: 1, Extra: 6, Options: o})
		if err != nil {
			t.Fatalf("the sound trace fails: %v after %+v", err, report)
		}
	}
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			tr := traceOf(t, m.options, ops)
			tr.Events = m.mutate(tr)
			cfg := CrashConfig{Seed: 1, Extra: 6, Dir: imageDir(t), Options: m.options}
			report, err := Crash(tr, cfg)
			var failed *CrashError
			if !errors.As(err, &failed) {
				t.Fatalf("not found in %d images: %v", report.Images, err)
			}
			t.Logf("found by image %d: %v", failed.Image, err)
		})
	}
}

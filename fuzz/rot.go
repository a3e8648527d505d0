package fuzz

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"mmdb"
)

// A RotPoint is a moment at which a commit was promised: the durable file, and
// what the last commits wrote to it.
type RotPoint struct {
	File   []byte
	State  int
	Writes [][]int // for each state so far, the offsets of the data pages it wrote
}

// RotPoints replays a trace of sound flushes and returns the moments after
// each promised commit.
func RotPoints(t *Trace) []RotPoint {
	d := NewDisk(t)
	var out []RotPoint
	var writes [][]int
	var pages []int
	for i := range t.Events {
		e := &t.Events[i]
		switch {
		case e.Kind != EventMark:
			d.Apply(e)
			if e.Kind == EventWrite && e.Path == t.DB {
				for at := max(e.Offset, metaEnd); at < e.Offset+e.Length; at += block {
					pages = append(pages, int(at))
				}
			}
		case len(e.Accept) == 1 && !e.Absent && e.Accept[0] == len(writes):
			writes = append(writes, pages)
			pages = nil
			out = append(out, RotPoint{slices.Clone(d.names[t.DB].data), e.Accept[0], slices.Clone(writes)})
		}
	}
	return out
}

// ExamineRot opens a file in which bytes rotted after a power loss: it must
// hold one of the accepted states, or be found damaged.
func ExamineRot(path string, states []*Model, accept []int, o mmdb.Options) error {
	v := newVerifier(states, o)
	db, err := mmdb.Open(path, 0o600, &v.options)
	if err != nil {
		return onlyDamage("open", err)
	}
	err = db.View(func(tx *mmdb.Tx) error {
		_, err := v.which(tx, accept)
		return err
	})
	return errors.Join(onlyDamage("walk", err), db.Close())
}

// ExamineRecordRot opens a closed file in which only commit records rotted:
// it is refused, or nothing of it suffers, not even when pages are taken from
// the free list.
func ExamineRecordRot(path string, s *Sample, o mmdb.Options) error {
	v := newVerifier(s.States, o)
	rec := NewRecorder(nil)
	if info, err := os.Stat(path); err == nil {
		rec.Knows(path, info.Size())
	}
	_, err := v.verify(path, []int{len(s.States) - 1}, rec)
	if err == nil || IsDamage(err) && isOpen(rec) {
		return nil
	}
	return fmt.Errorf("a damaged commit record was used: %w", err)
}

// isOpen reports whether the run that was recorded went no further than Open.
func isOpen(rec *Recorder) bool {
	marks := 0
	for _, e := range rec.Events() {
		if e.Kind == EventMark {
			marks++
		}
	}
	return marks <= 2 // the recorder's own, and the one before Open
}

// recordPages returns the offsets of the commit records in a file.
func recordPages(file []byte) []int {
	const kindAt, kindRecord = 32, 4
	var out []int
	for at := metaEnd; at+block <= len(file); at += block {
		if file[at+kindAt] == kindRecord {
			out = append(out, at)
		}
	}
	return out
}

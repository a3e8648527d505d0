package fuzz

import (
	"errors"
	"fmt"
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
			f := d.names[t.DB]
			out = append(out, RotPoint{d.content(f, &pick{sizes: d.seq}), e.Accept[0], slices.Clone(writes)})
		}
	}
	return out
}

// ExamineRot opens a file in which bytes rotted after a power loss. It must
// hold one of the accepted states, or, unless it must recover, be found damaged.
func ExamineRot(path string, states []*Model, accept []int, mustRecover bool, o mmdb.Options) error {
	v := newVerifier(states, o)
	db, err := mmdb.Open(path, 0o600, &v.options)
	if err == nil {
		err = db.View(func(tx *mmdb.Tx) error {
			_, err := v.which(tx, accept)
			return err
		})
		err = errors.Join(err, db.Close())
	}
	if mustRecover && err != nil {
		return fmt.Errorf("the commit before is whole, but was not taken: %w", err)
	}
	return onlyDamage("open and walk", err)
}

// ExamineRecordRot opens a closed file in which only commit records rotted and
// commits to it until that is refused, or pages were taken from the free list
// for some time. Nothing that is stored may suffer.
func ExamineRecordRot(path string, s *Sample, o mmdb.Options) (err error) {
	o.Timeout = lockTimeout
	db, err := mmdb.Open(path, 0o600, &o)
	if err != nil {
		return onlyDamage("open", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	m := s.States[len(s.States)-1]
	for range 6 {
		next := m.Clone()
		if err := db.Update(func(tx *mmdb.Tx) error { return touch(tx, next) }); err != nil {
			if err := onlyDamage("update", err); err != nil {
				return err
			}
			break
		}
		m = next
	}
	if err := db.View(func(tx *mmdb.Tx) error { return compareSum(tx, m) }); err != nil {
		return fmt.Errorf("after commits on top of a damaged record: %w", err)
	}
	return nil
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

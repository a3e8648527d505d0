package fuzz

import (
	"bytes"

	"mmdb"
)

// A shadow is the model of a cursor: it has a place among the keys, present
// or not, and moves to the neighbours of that place. After the end it stays
// where it was.
type shadow struct {
	model *Model
	place place
	at    []byte // the key of the place
	fresh bool   // the last move returned at, and at was not deleted since
}

// A place says where a cursor stands.
type place uint8

const (
	nowhere  place = iota // never placed, or nothing is promised
	onKey                 // on the key at, or where it was
	beforeGE              // before the first key that is at least at
	afterLE               // after the last key that is at most at
	atStart               // before everything
	atEnd                 // after everything
)

// next and prev return the positions of the neighbours.
func (s *shadow) next() int {
	i, ok := s.model.find(s.at)
	switch {
	case s.place == atStart:
		return 0
	case s.place == atEnd:
		return s.model.Len()
	case ok && s.place != beforeGE:
		i++
	}
	return i
}

func (s *shadow) prev() int {
	i, ok := s.model.find(s.at)
	switch {
	case s.place == atStart:
		return -1
	case s.place == atEnd:
		return s.model.Len() - 1
	case ok && s.place == afterLE:
		return i
	}
	return i - 1
}

// missed notes the place of a move that found nothing.
func (s *shadow) missed(st Step) {
	switch s.fresh = false; st.Kind {
	case StepFirst:
		s.place = atStart
	case StepLast:
		s.place = atEnd
	case StepSeekIndex:
		s.place = nowhere
	case StepSeek:
		s.place, s.at = beforeGE, st.Key
	case StepSeekLE:
		s.place, s.at = afterLE, st.Key
	}
}

// step runs one step of a cursor program on both sides and compares.
func (s *shadow) step(b *mmdb.Bucket, c *mmdb.Cursor, st Step, seed uint32) error {
	switch st.Kind {
	case StepPut:
		v := Value(seed, st.N)
		return sameError("Put", b.Put(st.Key, v), s.model.Put(st.Key, v))
	case StepRemove:
		if bytes.Equal(st.Key, s.at) {
			s.fresh = false
		}
		return sameError("Delete", b.Delete(st.Key), s.model.Delete(st.Key))
	case StepDelete:
		if !s.fresh {
			return nil
		}
		want := s.model.Delete(s.at)
		s.fresh = want != nil
		return sameError("Cursor.Delete", c.Delete(), want)
	}
	return s.move(c, st)
}

// move runs a step that changes nothing.
func (s *shadow) move(c *mmdb.Cursor, st Step) error {
	if s.place == nowhere && (st.Kind == StepNext || st.Kind == StepPrev || st.Kind == StepRank) {
		return nil // a cursor that was never placed promises nothing
	}
	if st.Kind == StepRank {
		if !s.fresh {
			return nil
		}
		if got, want := c.Rank(), s.model.lower(s.at); got != uint64(want) {
			return mismatch("Rank at %s: %d, want %d", shortKey(s.at), got, want)
		}
		return nil
	}
	k, v := run(c, st)
	var wantKey, wantValue []byte
	if i := s.target(st); i >= 0 && i < s.model.Len() {
		e := s.model.entries[i]
		wantKey, wantValue = []byte(e.key), e.value
		s.place, s.at, s.fresh = onKey, wantKey, true
	} else if st.Kind != StepNext && st.Kind != StepPrev {
		s.missed(st)
	} else if s.place != onKey {
		s.place = nowhere
	}
	return samePair(st.String(), k, v, wantKey, wantValue)
}

// run moves the real cursor.
func run(c *mmdb.Cursor, st Step) (k, v []byte) {
	switch st.Kind {
	case StepNext:
		return c.Next()
	case StepPrev:
		return c.Prev()
	case StepFirst:
		return c.First()
	case StepLast:
		return c.Last()
	case StepSeek:
		return c.Seek(st.Key)
	case StepSeekLE:
		return c.SeekLE(st.Key)
	case StepSeekIndex:
		return c.SeekIndex(uint64(st.N))
	}
	panic("fuzz: step invariant: not a move")
}

// target returns the position that a move leads to; it is outside when the
// move leads nowhere.
func (s *shadow) target(st Step) int {
	switch st.Kind {
	case StepNext:
		return s.next()
	case StepPrev:
		return s.prev()
	case StepFirst:
		return 0
	case StepLast:
		return s.model.Len() - 1
	case StepSeek:
		i, _ := s.model.find(st.Key)
		return i
	case StepSeekLE:
		i, ok := s.model.find(st.Key)
		if !ok {
			i--
		}
		return i
	}
	return st.N
}

package fuzz

import (
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// TestHistoryFindsLies: the check refuses a history in which one answer is not what it was. Clients run as the scheduler lets them, and a
// rare history leaves room for a lie, or has no answer to tell it in: then another is recorded.
func TestHistoryFindsLies(t *testing.T) {
	var hidden []string
	for _, seed := range []uint64{1, 3, 5} {
		sound := recordHistory(t, seed, 1, 6, 60)
		checkHistory(t, sound)
		if hidden = hiddenLies(sound); len(hidden) == 0 {
			return
		}
		t.Logf("seed %d: not found: %q", seed, hidden)
	}
	t.Errorf("not found: %q", hidden)
}

// hiddenLies changes one answer of a sound history after the other, and returns which changes the check does not find.
func hiddenLies(sound []porcupine.Operation) (hidden []string) {
	slices.SortFunc(sound, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	find := func(from int, ok func(historyInput, historyOutput) bool) int {
		for i := from; i < len(sound); i++ {
			if ok(sound[i].Input.(historyInput), sound[i].Output.(historyOutput)) {
				return i
			}
		}
		return -1
	}
	seen := map[uint32]bool{} // numbers that somebody read
	for _, op := range sound {
		for _, n := range op.Output.(historyOutput).read {
			seen[n] = true
		}
	}
	committed := func(in historyInput, o historyOutput) bool {
		for _, n := range in.write {
			if n != 0 && seen[n] {
				return o.outcome == changed && !o.blind
			}
		}
		return false
	}
	late, early := find(2*len(sound)/3, committed), find(len(sound)/3, committed)
	for _, lie := range []struct {
		name string
		at   int
		tell func(*historyOutput)
	}{
		{"a read of an old state", late, func(o *historyOutput) { o.read = sound[early].Output.(historyOutput).read }},
		{"a mix of two states", late, func(o *historyOutput) { o.read[2], o.read[3] = o.read[3]+1, o.read[2] }},
		{"a commit that is not there", early, func(o *historyOutput) { o.outcome = unchanged }},
		{"a rollback that is there", find(len(sound)/3, func(_ historyInput, o historyOutput) bool { return o.outcome == unchanged && !o.blind }),
			func(o *historyOutput) { o.outcome = changed }},
	} {
		if lie.at < 0 || early < 0 {
			hidden = append(hidden, lie.name)
			continue
		}
		ops := slices.Clone(sound)
		out := ops[lie.at].Output.(historyOutput)
		lie.tell(&out)
		ops[lie.at].Output = out
		if in := ops[lie.at].Input.(historyInput); out.outcome == changed && sound[lie.at].Output.(historyOutput).outcome == unchanged {
			in.write = map[int]uint32{} // so much that blind transactions beside it can't hide it
			for key := range historyKeys {
				in.write[key] = 1<<30 + uint32(key)
			}
			ops[lie.at].Input = in
		}
		if porcupine.CheckOperationsTimeout(historyModel, ops, historyPatience) != porcupine.Illegal {
			hidden = append(hidden, lie.name)
		}
	}
	return hidden
}

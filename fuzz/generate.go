package fuzz

import (
	"encoding/binary"
	"fmt"
)

// A Profile weighs the kinds of operations and bounds their sizes.
type Profile struct {
	weights  [kinds]int
	total    int
	maxValue int // bytes of the largest ordinary value
	maxFill  int // puts of one OpFill
	giant    bool
}

func newProfile(maxValue, maxFill int, giant bool, weights map[Kind]int) Profile {
	p := Profile{maxValue: maxValue, maxFill: maxFill, giant: giant}
	for k, w := range weights {
		p.weights[k] = w
		p.total += w
	}
	return p
}

// ModelProfile is for comparing with the model: every kind, large values.
var ModelProfile = newProfile(20000, 200, true, map[Kind]int{
	OpPut: 24, OpGet: 6, OpDelete: 12, OpPutReserve: 4, OpFill: 8, OpDrop: 8, OpDeleteRange: 6,
	OpCreate: 3, OpEnsure: 3, OpDeleteBucket: 3, OpMove: 3, OpSequence: 2, OpWalk: 14, OpCount: 5,
	OpIterate: 5, OpGetMany: 3, OpCommit: 10, OpRollback: 3, OpReopen: 2, OpReader: 4, OpVerify: 2, OpSync: 1, OpCompact: 1,
})

// LongProfile has long transactions with many buckets, so that they spill.
var LongProfile = newProfile(20000, 250, false, map[Kind]int{
	OpPut: 20, OpDelete: 6, OpPutReserve: 3, OpFill: 24, OpDrop: 10, OpDeleteRange: 4,
	OpCreate: 6, OpEnsure: 6, OpDeleteBucket: 4, OpMove: 10, OpSequence: 2, OpWalk: 10, OpCount: 2,
	OpCommit: 2, OpRollback: 1, OpReader: 2, OpVerify: 1,
})

// CrashProfile is for crash images: small transactions and few reads, so that
// many commits fit into a small file.
var CrashProfile = newProfile(9000, 60, false, map[Kind]int{
	OpPut: 24, OpDelete: 8, OpPutReserve: 3, OpFill: 6, OpDrop: 5, OpDeleteRange: 3,
	OpEnsure: 2, OpDeleteBucket: 2, OpMove: 2, OpSequence: 2, OpWalk: 2,
	OpCommit: 24, OpRollback: 3, OpReopen: 3, OpReader: 3, OpSync: 1, OpCopy: 1, OpCompact: 1,
})

// Generate makes operations from src until it is done, at most max of them.
func Generate(src *Source, p Profile, max int) []Op {
	var ops []Op
	for len(ops) < max && !src.Done() {
		ops = append(ops, p.op(src, uint32(len(ops))))
	}
	return ops
}

func (p *Profile) kind(src *Source) Kind {
	n := src.Intn(p.total)
	for k, w := range p.weights {
		if n < w {
			return Kind(k)
		}
		n -= w
	}
	panic("fuzz: profile invariant: weights do not add up")
}

// op makes one operation. Its number is the seed of its values, so that no two
// operations write the same bytes.
func (p *Profile) op(src *Source, number uint32) Op {
	o := Op{Kind: p.kind(src), Seed: number + 1}
	if o.Kind < OpCommit {
		o.Path = path(src)
	}
	switch o.Kind {
	case OpPut, OpPutReserve:
		o.Key, o.Size = p.key(src), p.size(src)
	case OpGet, OpDelete:
		o.Key = p.key(src)
	case OpFill, OpDrop:
		o.Key, o.N, o.Size = p.key(src), 1+src.Intn(p.maxFill), src.Intn(400)
	case OpDeleteRange, OpCount, OpIterate:
		o.Key, o.High = p.bounds(src)
		o.N = src.Intn(256)
	case OpCreate, OpEnsure:
		o.Key = []byte(bucketName(src))
		if src.Intn(8) == 0 {
			o.Key = p.key(src)
		}
	case OpMove:
		o.To = path(src)[:src.Intn(2)]
	case OpSequence, OpCommit, OpRollback:
		o.N = src.Intn(256)
	case OpWalk:
		o.Walk = p.walk(src)
	case OpGetMany:
		o.Key, o.N = p.key(src), src.Intn(64)
	}
	return o
}

func bucketName(src *Source) string { return string('A' + rune(src.Intn(4))) }

// path returns one to three bucket names, mostly one.
func path(src *Source) []string {
	b := src.Byte()
	names := []string{string('A' + rune(b&3))}
	if b&0x0c == 0x0c {
		names = append(names, string('A'+rune(b>>4&3)))
		if b&0xc0 == 0xc0 {
			names = append(names, bucketName(src))
		}
	}
	return names
}

// key returns a key of one of several families. Each is small, so that
// operations meet each other's keys.
func (p *Profile) key(src *Source) []byte {
	class, n := src.Byte(), src.Byte()
	switch {
	case class < 110:
		return fmt.Appendf(nil, "k%03d", n)
	case class < 150:
		return fmt.Appendf(nil, "a/common/prefix/of/some/length/%05d", int(n)*37%512)
	case class < 180:
		return []byte{n >> 4, n << 4}
	case class < 210:
		return binary.BigEndian.AppendUint32(nil, uint32(n)*0x01010101)
	case class < 228: // inline, but long
		return pad(fmt.Appendf(nil, "long%03d", n%32), 200+int(n)*11%300)
	case class < 236: // around the largest inline key
		return pad([]byte("edge"), 500+int(n)%10)
	case class < 248: // large, many with the same first part
		return pad(fmt.Appendf(pad([]byte("large"), 100+int(n)%4*100), "%03d", n%32), 520+int(n)*7)
	case class < 250: // a bucket's name
		return []byte{'A' + n&3}
	case class == 250:
		return []byte{}
	case class == 251 && p.giant:
		return pad([]byte("giant"), 32764+int(n)%6)
	}
	return []byte{n}
}

// pad extends k to n bytes.
func pad(k []byte, n int) []byte {
	for i := len(k); i < n; i++ {
		k = append(k, 'a'+byte(i%7))
	}
	return k
}

// size returns the length of a value: small, around the limits of a leaf
// cell, or some pages.
func (p *Profile) size(src *Source) int {
	class, n := src.Byte(), int(src.Byte())
	switch {
	case class < 120:
		return n % 40
	case class < 190:
		return n * 4
	case class < 215:
		return 1900 + n
	case class < 250:
		return 3900 + n*(p.maxValue-3900)/255
	case p.giant && class == 255:
		return n * 1000
	}
	return n * 16
}

// bounds returns a range, now and then open at one end or empty.
func (p *Profile) bounds(src *Source) (lo, hi []byte) {
	mode := src.Byte()
	if mode&7 != 0 {
		lo = p.key(src)
	}
	switch {
	case mode>>4 == 0: // open
	case mode>>4 < 10: // near
		hi = append(append([]byte{}, lo...), mode)
	default:
		hi = p.key(src)
	}
	return lo, hi
}

func (p *Profile) walk(src *Source) []Step {
	steps := make([]Step, 2+src.Intn(24))
	for i := range steps {
		b := src.Byte()
		s := Step{Kind: StepKind(b>>4) % stepKinds, N: int(b&15) * 13}
		switch b & 3 { // mostly moves to the neighbours
		case 0:
			s.Kind = StepNext
		case 1:
			s.Kind = StepPrev
		}
		switch s.Kind {
		case StepSeek, StepSeekLE, StepPut, StepRemove:
			s.Key = p.key(src)
		}
		steps[i] = s
	}
	if steps[0].Kind == StepNext || steps[0].Kind == StepPrev || steps[0].Kind == StepDelete {
		steps[0] = Step{Kind: StepFirst + StepKind(steps[0].N&1)}
	}
	return steps
}

// Value returns the n bytes that the operation with this seed stores: cheap
// to make, different for every seed, and different at every offset.
func Value(seed uint32, n int) []byte {
	b := make([]byte, n)
	x := uint64(seed)*0x9e3779b97f4a7c15 | 1
	for i := range b {
		if i&7 == 0 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		b[i] = byte(x >> (i & 7 * 8))
	}
	return b
}

// fillKey returns the i-th key of an OpFill or OpDrop: consecutive after the
// first when its length is even, scattered when it is odd.
func fillKey(first []byte, i int) []byte {
	n := uint16(i)
	if len(first)%2 == 1 {
		n *= 40503
	}
	if len(first) > 64 {
		first = first[:64]
	}
	return binary.BigEndian.AppendUint16(append([]byte{}, first...), n)
}

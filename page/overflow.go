package page

// Offsets in an overflow reference, and in a bucket header.
const (
	offOverflowPage   = 0
	offOverflowLength = 8
	offOverflowBorn   = 12

	offBucketRoot     = 0
	offBucketKeys     = 8
	offBucketLevel    = 15
	offBucketSequence = 16
	offBucketTree     = 24
)

// Overflow refers to a value or key that stands in a run of pages of its own.
type Overflow struct {
	Page Ref    // the run's first page
	Len  uint32 // bytes of payload
	Born Commit // the commit that wrote it
}

// Encode writes the reference to the first OverflowRefSize bytes of dst.
func (o Overflow) Encode(dst []byte) {
	_ = dst[OverflowRefSize-1]
	le.PutUint64(dst[offOverflowPage:], uint64(o.Page))
	le.PutUint32(dst[offOverflowLength:], o.Len)
	le.PutUint64(dst[offOverflowBorn:], uint64(o.Born))
}

// DecodeOverflow reads a reference from the first OverflowRefSize bytes of b.
func DecodeOverflow(b []byte) Overflow {
	_ = b[OverflowRefSize-1]
	return Overflow{
		Page: Ref(le.Uint64(b[offOverflowPage:])),
		Len:  le.Uint32(b[offOverflowLength:]),
		Born: Commit(le.Uint64(b[offOverflowBorn:])),
	}
}

// Bucket is the header of a bucket, as its parent's leaf or the meta holds it.
type Bucket struct {
	Root     Ref    // the root page; 0 if the bucket's body follows inline
	Keys     uint64 // number of keys, nested buckets counted as one; at most MaxChildKeys
	Level    uint8  // of the inline body: 0 is a leaf; 0 if Root is not
	Sequence uint64 // the user's counter
	Tree     Tree   // the bucket's tree number
}

// HasPages reports whether the bucket's tree has pages of its own: it may have none, or no root page only.
func (k Bucket) HasPages() bool { return k.Root != 0 || k.Level > 0 }

// Keys and level share a word.
const (
	bucketLevelShift = 8 * (offBucketLevel - offBucketKeys)
	bucketKeys       = 1<<bucketLevelShift - 1
)

// Encode writes the header to the first BucketHeaderSize bytes of dst.
func (k Bucket) Encode(dst []byte) {
	_ = dst[BucketHeaderSize-1]
	le.PutUint64(dst[offBucketRoot:], uint64(k.Root))
	le.PutUint64(dst[offBucketKeys:], k.Keys&bucketKeys|uint64(k.Level)<<bucketLevelShift)
	le.PutUint64(dst[offBucketSequence:], k.Sequence)
	le.PutUint64(dst[offBucketTree:], uint64(k.Tree))
}

// DecodeBucket reads a header from the first BucketHeaderSize bytes of b.
func DecodeBucket(b []byte) Bucket {
	_ = b[BucketHeaderSize-1]
	keys := le.Uint64(b[offBucketKeys:])
	return Bucket{
		Root:     Ref(le.Uint64(b[offBucketRoot:])),
		Keys:     keys & bucketKeys,
		Level:    uint8(keys >> bucketLevelShift),
		Sequence: le.Uint64(b[offBucketSequence:]),
		Tree:     Tree(le.Uint64(b[offBucketTree:])),
	}
}

// RunPages returns the length, in pages, of a run with that many bytes of
// payload.
func RunPages(payload, pageSize int) uint32 {
	size := uint64(payload) + RunHeaderSize
	return uint32((size + uint64(pageSize) - 1) / uint64(pageSize))
}

// PayloadLen returns the bytes of payload that the head of an overflow or record
// run names: its first RunHeaderSize bytes.
func PayloadLen(head []byte) uint32 { return le.Uint32(head[offRunLength:]) }

// RunPayload returns the payload of an overflow or record run. It aliases run.
// If the length in the run does not fit the run, it returns nil.
func RunPayload(run []byte) []byte {
	if len(run) < RunHeaderSize {
		return nil
	}
	n := uint64(PayloadLen(run))
	if n > uint64(len(run)-RunHeaderSize) {
		return nil
	}
	end := RunHeaderSize + int(n)
	return run[RunHeaderSize:end:end]
}

// InitRun makes run an overflow or record run with the header h and room for
// payloadLen bytes of payload, and zeroes what is behind them. The payload is
// for the caller to fill, see RunPayload.
func InitRun(run []byte, h Header, payloadLen int) {
	if payloadLen < 0 || payloadLen > len(run)-RunHeaderSize {
		panic("page: invariant: payload longer than its run")
	}
	InitRunHead(run, h, payloadLen)
	clear(run[RunHeaderSize+payloadLen:])
}

// InitRunHead writes only the first RunHeaderSize bytes of such a run to head,
// for one that is written in parts, see SealRun.
func InitRunHead(head []byte, h Header, payloadLen int) {
	h.Encode(head)
	le.PutUint32(head[offRunLength:], uint32(payloadLen))
	le.PutUint32(head[offRunReserved:], 0)
}

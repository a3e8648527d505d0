package fuzz

import (
	"fmt"
	"strings"
)

// A Kind says what an operation does.
type Kind uint8

// The kinds of operations. Those up to OpGetMany work on the bucket that the
// operation's path names, made on the way if it is missing; the rest concern
// the transaction or the database.
const (
	OpPut          Kind = iota // Put(Key, value of Size bytes)
	OpGet                      // Get(Key)
	OpDelete                   // Delete(Key)
	OpPutReserve               // PutReserve(Key, Size), filled in afterwards
	OpFill                     // N puts of consecutive keys, or of scattered ones
	OpDrop                     // N deletes of the same
	OpDeleteRange              // DeleteRange(Key, High)
	OpCreate                   // CreateBucket(Key)
	OpEnsure                   // CreateBucketIfNotExists(Key)
	OpDeleteBucket             // DeleteBucket(last name of the path) in its parent
	OpMove                     // MoveBucket(last name of the path) to the bucket To
	OpSequence                 // NextSequence, or SetSequence(N)
	OpWalk                     // a cursor program: moves, changes around it, Cursor.Delete
	OpCount                    // CountRange(Key, High), Rank and SeekIndex
	OpIterate                  // All, Range, Prefix or Backward
	OpGetMany                  // GetMany of N keys
	OpCommit                   // ends the transaction, see Op.N
	OpRollback                 // ends the transaction without an effect, see Op.N
	OpReopen                   // commits, closes and opens the database again
	OpReader                   // opens a read transaction that stays, or ends the oldest one
	OpVerify                   // commits, then compares everything and runs Check
	OpSync                     // DB.Sync between transactions
	OpCopy                     // CopyFile to a new name beside the database
	OpCompact                  // DB.Compact
	kinds
)

var kindNames = [kinds]string{
	"put", "get", "delete", "putReserve", "fill", "drop", "deleteRange", "create", "ensure",
	"deleteBucket", "move", "sequence", "walk", "count", "iterate", "getMany", "commit",
	"rollback", "reopen", "reader", "verify", "sync", "copy", "compact",
}

// String returns the kind's name.
func (k Kind) String() string { return kindNames[k] }

// An Op is one operation: everything it needs, so that a list of them can be
// printed, cut and run again.
type Op struct {
	Kind Kind
	Path []string // bucket path from the root, one to three names
	To   []string // OpMove: path of the new parent, may be empty for the root
	Key  []byte
	High []byte // end of a range; nil for an open one
	Size int    // bytes of the value
	N    int    // a count, a choice or a number, by kind
	Seed uint32 // content of values
	Walk []Step // OpWalk
}

// String returns the operation in one line.
func (o Op) String() string {
	var b strings.Builder
	b.WriteString(o.Kind.String())
	if o.Kind < OpCommit {
		fmt.Fprintf(&b, " %s", strings.Join(o.Path, "/"))
	}
	if o.Kind == OpMove {
		fmt.Fprintf(&b, " to /%s", strings.Join(o.To, "/"))
	}
	if o.Key != nil {
		fmt.Fprintf(&b, " %s", shortKey(o.Key))
	}
	if o.High != nil {
		fmt.Fprintf(&b, "..%s", shortKey(o.High))
	}
	if o.Size != 0 {
		fmt.Fprintf(&b, " size=%d", o.Size)
	}
	if o.N != 0 {
		fmt.Fprintf(&b, " n=%d", o.N)
	}
	for _, s := range o.Walk {
		fmt.Fprintf(&b, " %s", s)
	}
	return b.String()
}

// shortKey prints a key; of a long one its beginning and its length.
func shortKey(k []byte) string {
	if len(k) > 24 {
		return fmt.Sprintf("%q+%d", k[:16], len(k)-16)
	}
	return fmt.Sprintf("%q", k)
}

// A StepKind is one move or change of a cursor program.
type StepKind uint8

// The steps of a cursor program.
const (
	StepNext StepKind = iota
	StepPrev
	StepFirst
	StepLast
	StepSeek
	StepSeekLE
	StepSeekIndex
	StepDelete // Cursor.Delete
	StepPut    // Bucket.Put while the cursor stands somewhere
	StepRemove // Bucket.Delete while the cursor stands somewhere
	StepRank
	stepKinds
)

var stepNames = [stepKinds]string{
	"next", "prev", "first", "last", "seek", "seekLE", "seekIndex", "cursorDelete", "put", "remove", "rank",
}

// A Step is one move of a cursor, or one change of its bucket.
type Step struct {
	Kind StepKind
	Key  []byte
	N    int // an index, or the size of a value
}

// String returns the step in brackets.
func (s Step) String() string {
	if s.Key != nil {
		return fmt.Sprintf("[%s %s %d]", stepNames[s.Kind], shortKey(s.Key), s.N)
	}
	return fmt.Sprintf("[%s %d]", stepNames[s.Kind], s.N)
}

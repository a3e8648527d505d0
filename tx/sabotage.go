package tx

// A Bug is a deliberate mistake in the commit or recovery protocol. The crash suite switches each one on and must find
// it: that shows that the suite can fail. Nothing else may use them.
type Bug uint32

// The mistakes that the crash suite must find.
const (
	BugNoFlush         Bug = 1 << iota // a commit is acknowledged without a flush
	BugPublishEarly                    // readers see a commit before it is durable
	BugReuseEarly                      // a commit writes over pages that it frees itself
	BugIgnoreReaders                   // pages that a reader needs are used again
	BugIgnoreSums                      // recovery does not compare the checksums that a record lists
	BugSkipVerify                      // recovery takes the newest meta unseen
	BugIgnoreBase                      // recovery goes back beyond a commit that is known to be durable
	BugAdoptUnwritten                  // recovery adopts a commit without writing it again
	BugKeepRejected                    // recovery leaves the meta that it rejected
	BugWrongSlot                       // a meta overwrites the newest one
	BugCutEarly                        // the file is cut below what an older meta needs
	BugTrustRecord                     // a commit record's checksum is not looked at
	BugNoPutBack                       // after a failed flush the new meta stays in its slot
	BugOneFlushSpill                   // a large or spilled commit is flushed once only, and not verified
	BugNoDirSync                       // creation does not flush the directory
	BugSettleEarly                     // creation writes its meta as settled
	BugAckEarly                        // who joins a group is told before its flush
	BugLeaveEarly                      // a function that fails or changes nothing ends before what it has read is durable
	BugKeepFailed                      // what a failed function took and freed stays in its group
	BugReuseInFlight                   // while a commit is flushed, what the one before it needs is used again
	BugForgetWindow                    // commit records are used again while a meta has to be verified with them
	BugBaseEarly                       // a lazy commit counts as durable when it was written
	BugTakeDurableSlot                 // lazy commits write over the newest durable meta
	BugVerifyNewest                    // recovery verifies only the newest of several commits that were not flushed
)

// These are no mistakes. EagerCarry: every function carries pages along, in a database of any size. EagerCheckpoint: every
// fourth record is a checkpoint, while lazy commits are not durable too. EagerLarge: a sixteenth of the size makes a commit too large for one flush.
// EagerCut: the file is cut wherever that is possible, by however little, and Compact
// moves what it can for that.
const (
	EagerCarry      Bug = 1 << 31
	EagerCheckpoint Bug = 1 << 30
	EagerLarge      Bug = 1 << 29
	EagerCut        Bug = 1 << 28
)

// Sabotage switches mistakes on in databases opened with o. It is for the crash suite.
func Sabotage(o *Options, bugs Bug) { o.bugs |= bugs }

// sabotaged reports whether a mistake is switched on.
func (st *Store) sabotaged(b Bug) bool { return st.opts.bugs&b != 0 }

// Package fuzz proves mmdb: it runs generated operations against a plain
// model, crashes a recorded run at every event, makes system calls fail, and
// damages files. No production code imports it. It uses the public API of mmdb
// and the seam of mmapfile, and knows of the file format only what damage.go
// needs to get past checksums.
//
// # Operations and the model
//
// A Source turns the bytes of a fuzzer, or a seed, into decisions; Generate
// turns these into a list of Op values before anything runs, so that a list
// can be printed, cut short and run again. A Runner runs each operation on the
// database and on a Model, sorted entries and nothing else, and compares every
// answer; it keeps the model of each commit. Read transactions that stay open
// across commits must see their own commit to the end, and slices must keep
// their bytes until their transaction ends.
//
// # Crashes
//
// A Recorder at the seam writes down a Trace: creations, writes with their
// data, sizes, holes, renames, the start and the return of each flush, and
// marks that say which states of the model may be found from then on: the
// newest acknowledged one, and those started after it.
//
// Crash replays the trace on a Disk, a model of a device that promises as
// little as a device may: a write that no returned flush covers is there, or
// not, or in part, each 512-byte sector for itself; sizes and names change in
// order but independently of the data; msync covers only its range; what a
// failed flush should have written is never written by a later one. After each
// event it builds images of what a crash leaves: nothing of the pending
// changes, all, each prefix, each write missing, each alone, each torn (a
// prefix, a suffix, a hole of 512 or 4096 bytes), every subset of calls and of
// 4 KiB blocks while they are few, seeded random subsets of blocks and sectors
// beyond, all with size changes in effect or not. No image is tried twice.
//
// Each image is opened and must pass Check; its content must be one of the
// accepted states; then one more commit is made, and read back after another
// open. Of every CrashConfig.Recrash-th image the recovery is traced and
// crashed in the same way, twice: once by power loss, and once as the scene in
// which a flush fails, the process dies, the next one finds in the page cache
// what the device lacks, and then the power goes.
//
// # Crowds
//
// A Crowd is clients that commit to one database at once, on flushes that take a while, so that their functions
// share commits. Some fail, panic, leave their goroutine, change nothing, run alone between Begin and Commit, or run
// Check, which publishes the open group. Each compares what it sees with the model of the function before it, and its
// Trace is crashed like others: an image must hold what the last function of some group left, and nothing older than
// what anybody was promised. A function that failed or changed nothing is promised the state that it has read.
//
// Lazy transactions have two promises: what returned survives the process, and what a Sync, a durable commit or the
// base of a later meta covers survives a power loss. So the image that holds everything, which is what the next process
// finds when this one dies at that moment, must be newer than others.
//
// Clients run as the scheduler lets them, so a failure may not come again with its seed: its image is kept, and the
// test prints the last events.
//
// # Several processes
//
// TestProcessesShareADatabase has four processes with readers and writers on one database, some of them lazy, and kills and stops them at
// random. What a transaction writes follows from its number, so every reader can compare all that it sees with what one commit left, and
// once more after a while.
//
// # Teeth
//
// That nothing is found proves little unless the suite can find something.
// TestCrashFindsMutations damages the traces of sound runs as a broken engine
// would have made them: a flush left out, a promise given too early, data or
// meta never written, meta before data, a live page or the newest meta written
// over, a lost sector, a flush that ends too early. TestCrashFindsBugs switches
// on mistakes in the engine itself, with what finds them and after how many
// images:
//
//	no flush                            crash during creation         161
//	publish before the flush            a failed flush, old readers     0
//	reuse a page one commit too soon    crash during creation           2
//	ignore readers                      the model, old readers          0
//	ignore the record's sums            crash, then process death    6104
//	take the newest meta unseen         crash during creation         144
//	ignore base                         rot in two commits              3
//	adopt without rewriting             process death, power loss    1852
//	write over the newest meta          rot in the last commit          1
//	cut below an older high water       rot after the file was cut     10
//	no checksum of commit records       rot in the lists of pages     351
//	do not put the meta slot back       order after a failed flush      0
//	one flush for a large commit        crash                         167
//	no flush of the directory           crash during creation        2751
//	creation settles its metas          process death, power loss    4094
//	publish a group before the flush    a crowd's readers               0
//	acknowledge a group early           crash of a crowd              200
//	do not wait for what was read       crash of a crowd              180
//	keep what a failed function took    a crowd's functions             0
//	reuse pages during a flush          crash of a crowd             1000
//	Sync without a flush                crash of a lazy crowd         300
//	use records of the window again     crash of a lazy crowd         700
//	lazy commits count as durable       crash of a lazy crowd         400
//	write over the durable meta         crash of a lazy crowd         600
//	verify only the newest lazy commit  crash of a lazy crowd         200
//
// One more, to leave a rejected meta in its slot, does no harm by itself: the
// next meta goes to an invalid slot first.
//
// # Rot
//
// Bytes that change on the device after a flush look like a power loss when
// they are in the newest commit and no Close settled it: then the commit before
// must come back, whole. Older rot is found, or does not matter; it never leads
// further back. Commit records that rot never give live pages to the free list.
//
// # Faults
//
// An Injector makes the n-th call at the seam fail, once or from then on, with
// EIO, ENOSPC, EINTR or a short write. RunFault holds the library to invariant
// I7: EINTR and short writes are not noticed, a full disk fails only what
// needed space, a failed flush or meta write refuses every later write until
// the next open, readers go on, and no promised commit is lost.
//
// # Damage
//
// Flips change bytes of a sound file: every way to read must give the right
// answer or ErrCorrupt through the transaction (invariants I3 and I13). Reseal
// puts the checksums right again, and any bytes at all may be opened: then the
// content is anything, but there is no panic and no endless loop.
//
// # Running and replaying
//
// The tests run within the time of an ordinary go test, and a tenth of the
// images with -race or -short. Flags of the test binary, after the package:
//
//	go test ./fuzz -run '^TestCrash' -crash.for=1h -crash.seed=1000 -timeout 0
//	go test ./fuzz -run '^TestModel' -model.for=1h -model.seed=1000 -timeout 0
//	go test ./fuzz -run '^$' -fuzz '^FuzzOps$' -fuzzminimizetime 1x    (also FuzzOpen, FuzzFlip)
//	go test ./fuzz -run Golden -rewrite
//
// A crash image that fails is kept, with -crash.keep=DIR in that folder, and
// the test prints the command that builds it again:
//
//	go test ./fuzz -run '^TestCrashOperations$' -crash.seed=7 -crash.image=1234
//
// Numbers of images are stable as long as the library makes the same calls.
// Salts are random, so the bytes differ from run to run.
package fuzz

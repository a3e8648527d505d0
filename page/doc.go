// Package page gives mmdb's file format its meaning: it encodes, decodes,
// searches, edits and validates the pages of a database file, each of them
// one []byte.
//
// There is one form of a page: views over bytes. A [Leaf] or [Branch] is the
// body of a page, the same for a page in the mapping and for one that a
// transaction is changing. The package knows no file, no tree and no
// transaction; it holds no state, and everything in it that only reads may be
// called from many goroutines at once.
//
// # Invariants
//
//   - Everything is little-endian at fixed offsets; reserved bytes are zero.
//   - Pages that passed [Verify] (or a body that passed [ValidateLeaf] or
//     [ValidateBranch]) can be read, searched and edited without any index
//     leaving the page. Bytes that were not validated may make accessors panic.
//   - Insert, Remove, SetChild and SetKeys never move or overwrite a live or
//     removed cell: a slice of a key or payload keeps its bytes while its body
//     is edited. Space of removed cells comes back only when a new body is
//     built with AppendFrom.
//   - Keys are strictly ascending. Heads hold the four bytes of each key that
//     follow the page's prefix, so a search reads the dense slot array and
//     touches a cell only where heads are equal.
//   - Slices that accessors return alias the page, with cap == len.
//   - Nothing here allocates, but for errors.
//
// # Page header
//
// At the start of every page, and of every run of pages that belong together.
//
//	header
//	offset size field
//	0      8    checksum: xxhash64 of all bytes of the run from offset 8, xor salt
//	8      8    number: the page's own number
//	16     8    born: the commit that wrote it
//	24     8    tree: the tree it belongs to, 0 for commit records
//	32     1    kind: 1 branch, 2 leaf, 3 overflow, 4 record
//	33     1    level: 0 for all but branches, a branch is one above its children
//	34     2    flags: zero
//	36     4    run: pages in this run, 1 for branch and leaf
//	40          end
//
// Branch and leaf pages continue with a slotted body. Overflow and record
// runs continue with:
//
//	run
//	offset size field
//	40     4    length: bytes of payload
//	44     4    reserved: zero
//	48          end
//
// and the payload, contiguous through the run; what is left of the last page
// is zero.
//
// # Slotted body
//
// Offsets count from the start of the body, so that the same form serves the
// miniature page of a small bucket, which has no page header.
//
//	body
//	offset size field
//	0      2    count: slots
//	2      2    prefix: first bytes that all keys share, at most 252
//	4      2    start: lowest offset that a cell takes, the body's length when empty
//	6      2    garbage: bytes from start to the end that belong to no live cell
//	8           end
//
// Then the slots in key order, free space, and the cells, which are allocated
// downwards from the end.
//
//	slot
//	offset size field
//	0      2    cell: offset of the cell
//	2      2    key: bytes of key in the cell (low 14 bits), flags (top 2 bits)
//	4      4    head: the four key bytes after the prefix, zero padded; the first is the highest
//	8           end
//
// Cells hold full keys; the prefix says only where heads start. A leaf slot's
// flags are 0 for a value, 1 for a value in an overflow run, 2 for a bucket, 3
// for a large key. A branch slot's are 0, or 3 for a large key. A key longer
// than [MaxInlineKey] is large: it stands in an overflow run, and the cell
// keeps its first 256 bytes.
//
//	leaf cell
//	offset size field
//	0      2    length: bytes of payload
//	2           end
//
// followed by the key and the payload: a value, an overflow reference, or a
// bucket header (and, if its root is 0, the bucket's inline body: the root of
// its tree, a leaf with plain values only, or a branch without large keys).
//
//	leaf cell, large key
//	offset size field
//	0      2    length: bytes of payload
//	2      1    kind: 0 value, 1 overflow, 2 bucket
//	3      1    reserved: zero
//	4      20   reference: the whole key's overflow run
//	24     256  part: the key's first bytes
//	280         end
//
// followed by the payload.
//
//	branch cell
//	offset size field
//	0      8    child: page reference
//	8      6    keys: number of keys below the child
//	14          end
//
// followed by the key, which is not above any key below the child and above
// all keys below the child before. Slot 0 has an empty key, which stands below
// all others, and takes no part in the prefix.
//
//	branch cell, large key
//	offset size field
//	0      8    child: page reference
//	8      6    keys: number of keys below the child
//	14     20   reference: the whole key's overflow run
//	34     256  part: the key's first bytes
//	290         end
//
// # References
//
// A page reference is a page number. While a transaction runs, one with the
// top bit set is the index of a changed page in its arena; it never reaches
// the file.
//
//	overflow reference
//	offset size field
//	0      8    page: first page of the run
//	8      4    length: bytes of payload
//	12     8    born: the commit that wrote the run
//	20          end
//
//	bucket header
//	offset size field
//	0      8    root: page reference, 0 if the body follows inline
//	8      7    keys: number of keys in the bucket
//	15     1    level: of the inline body, 0 if that is a leaf or root is not 0
//	16     8    sequence: the bucket's own counter
//	24     8    tree: the bucket's tree number
//	32          end
//
// # Meta
//
// Three slots of 512 bytes at the file offsets 0, 16384 and 32768. Data pages
// start after the third one's 16 KiB. The place of checksum, magic and version
// is the same in every version of the format.
//
//	meta
//	offset size field
//	0      8    checksum: xxhash64 of bytes 8 to 512
//	8      8    magic: "mmdb\x00\r\n\x1a"
//	16     4    version: 1
//	20     4    page size: bytes
//	24     8    incompatible: features without which the file can't be read
//	32     8    compatible: features without which it can't be written
//	40     8    salt: of the file's checksums
//	48     8    commit: number, below 2^62
//	56     8    base: newest commit known durable when this was written
//	64     8    root page: of the root bucket, 0 if its body is in the meta
//	72     7    root keys: number of keys
//	79     1    root level: of the root bucket's inline body
//	80     8    root sequence: counter
//	88     8    root tree: 1
//	96     8    next tree: number for the next bucket, below 2^62
//	104    8    high water: pages, counted from the start of the file, at most 2^36
//	112    8    record page: first page of the commit record
//	120    8    record length: bytes of payload
//	128    8    record checksum: of its run
//	136    4    flags: bit 0 settled
//	140    4    root length: bytes of the root bucket's inline body, 0 if it has a page
//	144    368  root body: zero behind those bytes
//	512         end
//
// The inline body of the root bucket is the root of its tree, stored here while
// it is small: a leaf whose cells are buckets with inline names, which have pages
// or are inline themselves, or a branch as that of any bucket.
//
// # Commit record
//
// The payload of a record run.
//
//	record
//	offset size field
//	0      4    version: 1
//	4      4    page size: bytes
//	8      8    salt: of the file's checksums
//	16     8    commit: number, below 2^62
//	24     8    base: newest commit known durable when this was written
//	32     8    previous page: first page of the record before, 0 if none
//	40     8    previous length: bytes of its payload
//	48     8    previous checksum: of its run
//	56     8    previous commit: its number
//	64     4    sums: bytes of this section
//	68     4    unused: zero
//	72     8    high water: pages, at most 2^36
//	80     32   root: bucket header
//	112    8    next tree: number for the next bucket, below 2^62
//	120    4    flags: bit 0 checkpoint
//	124    4    body: bytes of this section, 0 if the root bucket has a page
//	128    4    written: bytes of this section
//	132    4    freed: bytes of this section
//	136    4    free: bytes of this section, 0 without a checkpoint
//	140    4    pending: bytes of this section, 0 without a checkpoint
//	144         end
//
// followed by the section body, which is the root bucket's inline body as the
// meta has it, by written, freed, free and pending, whose encoding is package
// freelist's, by sums, and by zeros to the end: a record may be padded to the
// space set aside for it. Sums has the checksum of each written
// page in order, 8 bytes each, zeros for the other pages of a run. It may be
// empty when base is the commit itself.
package page

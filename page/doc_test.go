package page

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// tableRow is one line of a byte table in doc.go.
type tableRow struct {
	offset, size int
	field        string
}

// docTables reads the byte tables: a title, the line of column heads, rows.
func docTables(t *testing.T) map[string][]tableRow {
	t.Helper()
	src, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`^//\t(\d+)\s+(\d*)\s+([^:]+)(:.*)?$`)
	tables := map[string][]tableRow{}
	title, last := "", ""
	for line := range strings.Lines(string(src)) {
		line = strings.TrimRight(line, "\n")
		switch m := row.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "//\toffset size field"):
			title = strings.TrimPrefix(last, "//\t")
		case m != nil && title != "":
			offset, _ := strconv.Atoi(m[1])
			size, _ := strconv.Atoi(m[2])
			tables[title] = append(tables[title], tableRow{offset, size, m[3]})
		default:
			title = ""
		}
		last = line
	}
	return tables
}

// The constants that the code uses, by the names of the tables. "end" is the
// size of the whole.
var wantTables = map[string]map[string]int{
	"header": {
		"checksum": offChecksum, "number": offNumber, "born": offBorn, "tree": offTree,
		"kind": offKind, "level": offLevel, "flags": offFlags, "run": offRun, "end": HeaderSize,
	},
	"run":  {"length": offRunLength, "reserved": offRunReserved, "end": RunHeaderSize},
	"body": {"count": offCount, "prefix": offPrefix, "start": offStart, "garbage": offGarbage, "end": bodyHeader},
	"slot": {"cell": offSlotCell, "key": offSlotKey, "head": offSlotHead, "end": slotSize},
	"leaf cell": {
		"length": offLeafLength, "end": leafHeader,
	},
	"leaf cell, large key": {
		"length": offLeafLength, "kind": offLeafKind, "reserved": offLeafReserved, "reference": offLeafRef,
		"part": leafLargeHeader, "end": leafLargeHeader + LargeKeyPart,
	},
	"branch cell": {
		"child": offBranchChild, "keys": offBranchKeys, "end": branchHeader,
	},
	"branch cell, large key": {
		"child": offBranchChild, "keys": offBranchKeys, "reference": offBranchRef,
		"part": branchLargeHeader, "end": branchLargeHeader + LargeKeyPart,
	},
	"overflow reference": {
		"page": offOverflowPage, "length": offOverflowLength, "born": offOverflowBorn, "end": OverflowRefSize,
	},
	"bucket header": {
		"root": offBucketRoot, "keys": offBucketKeys, "level": offBucketLevel, "sequence": offBucketSequence, "tree": offBucketTree,
		"end": BucketHeaderSize,
	},
	"meta": {
		"checksum": offMetaChecksum, "magic": offMetaMagic, "version": offMetaVersion, "page size": offMetaPageSize,
		"incompatible": offMetaIncompatible, "compatible": offMetaCompatible, "salt": offMetaSalt,
		"commit": offMetaCommit, "base": offMetaBase, "root page": offMetaRoot,
		"root keys": offMetaRoot + offBucketKeys, "root level": offMetaRoot + offBucketLevel, "root sequence": offMetaRoot + offBucketSequence,
		"root tree": offMetaRoot + offBucketTree, "next tree": offMetaNextTree, "high water": offMetaHighWater,
		"record page": offMetaRecord, "record length": offMetaRecordLength, "record checksum": offMetaRecordChecksum,
		"flags": offMetaFlags, "root length": offMetaRootLength, "root body": offMetaRootBody, "end": MetaSize,
	},
	"record": {
		"version": offRecordVersion, "page size": offRecordPageSize, "salt": offRecordSalt,
		"commit": offRecordCommit, "base": offRecordBase, "previous page": offRecordPrev,
		"previous length": offRecordPrevLength, "previous checksum": offRecordPrevChecksum,
		"previous commit": offRecordPrevCommit, "sums": offRecordSums, "unused": offRecordUnused, "high water": offRecordHighWater,
		"root": offRecordRoot, "next tree": offRecordNextTree, "flags": offRecordFlags,
		"body": offRecordBody, "written": offRecordWritten, "freed": offRecordFreed,
		"free": offRecordFree, "pending": offRecordPending, "end": RecordHeaderSize,
	},
}

func TestConstantsMatchByteTables(t *testing.T) {
	tables := docTables(t)
	for title, rows := range tables {
		want := wantTables[title]
		if len(want) != len(rows) {
			t.Errorf("%s: %d rows, the code has %d", title, len(rows), len(want))
		}
		for i, r := range rows {
			if off, ok := want[r.field]; !ok || off != r.offset {
				t.Errorf("%s: %s at %d, the code says %d %v", title, r.field, r.offset, off, ok)
			}
			if i > 0 && rows[i-1].offset+rows[i-1].size != r.offset {
				t.Errorf("%s: a gap or overlap before %s", title, r.field)
			}
		}
		if rows[len(rows)-1].field != "end" {
			t.Errorf("%s: the table has no end", title)
		}
	}
	for title := range wantTables {
		if tables[title] == nil {
			t.Errorf("no table %q", title)
		}
	}
}

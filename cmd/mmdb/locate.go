package main

import (
	"mmdb"
	"mmdb/page"
)

// A location says where in the file a key is.
type location struct {
	page uint64 // the leaf that holds it; of a bucket that is stored inside its parent's page, that one, or the meta's
	run  uint64 // the first page of the run that holds its value, 0 if that is in the leaf
}

// locate finds the key of the bucket at path.
func locate(tx *mmdb.Tx, path bucketPath, key []byte) (location, error) {
	b, err := path.find(tx)
	if err != nil {
		return location{}, err
	}
	no := b.Root()
	switch body, level := b.InlineRoot(); {
	case no == 0 && level > 0:
		br := page.Branch(body)
		i, err := br.Search(key, tx)
		if err != nil {
			return location{}, err
		}
		no = uint64(br.Child(i).Page())
	case no == 0 && len(path) == 0:
		if b.Bucket(key) == nil {
			return location{}, noKey(path, key)
		}
		return location{page: metaPage(tx)}, nil
	case no == 0:
		last := len(path) - 1
		w, err := locate(tx, path[:last], path[last])
		return location{page: w.page}, err
	}
	in := tx.Info()
	for {
		b, err := tx.PageBytes(no)
		if err == nil {
			err = page.Verify(b, in.PageSize, page.No(no), in.Salt)
		}
		if err != nil {
			return location{}, err
		}
		switch page.KindOf(b) {
		case page.KindBranch:
			br := page.Branch(page.Body(b))
			i, err := br.Search(key, tx)
			if err != nil {
				return location{}, err
			}
			no = uint64(br.Child(i).Page())
		case page.KindLeaf:
			return inLeaf(tx, no, page.Leaf(page.Body(b)), path, key)
		default:
			return location{}, page.Corruptf(page.No(no), "kind %d where a branch or leaf should be", page.KindOf(b))
		}
	}
}

// metaPage returns the page with the meta of the commit that tx sees.
func metaPage(tx *mmdb.Tx) uint64 {
	in := tx.Info()
	for _, m := range in.Metas {
		if m.Valid && m.Commit == in.Commit {
			return uint64(page.MetaOffset(m.Slot)) / uint64(in.PageSize)
		}
	}
	return 0
}

// inLeaf finds the key in the leaf that is page no.
func inLeaf(tx *mmdb.Tx, no uint64, l page.Leaf, path bucketPath, key []byte) (location, error) {
	kind, payload, _, found, err := l.Find(key, tx)
	if err != nil {
		return location{}, err
	}
	if !found {
		return location{}, noKey(path, key)
	}
	w := location{page: no}
	if kind == page.CellOverflow {
		w.run = uint64(page.DecodeOverflow(payload).Page.Page())
	}
	return w, nil
}

// Read loops over LMDB, without Go: the limit that engines in Go are compared with. Keys, values and random
// numbers are those of package workload, which checks the sum of the bytes read.
//
//   lmdb DIR WORKLOAD N OPS SEED    prints JSON: time and processor time of all operations, items read, sum

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_SIZE = 16, RANGE_ITEMS = 100 };

static MDB_env *env;
static MDB_dbi dbi;
static uint64_t items, sum, state, count, operations;

static void check(int rc, const char *what) {
	if (rc != MDB_SUCCESS) {
		fprintf(stderr, "%s: %s\n", what, mdb_strerror(rc));
		exit(1);
	}
}

static uint64_t mix(uint64_t x) {
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t below(uint64_t n) {
	state += 0x9e3779b97f4a7c15u;
	return (uint64_t)(((unsigned __int128)mix(state) * n) >> 64);
}

static uint64_t spell(uint32_t x) {
	uint64_t v = x;
	v = (v | v << 16) & 0x0000ffff0000ffffu;
	v = (v | v << 8) & 0x00ff00ff00ff00ffu;
	v = (v | v << 4) & 0x0f0f0f0f0f0f0f0fu;
	uint64_t letters = ((v + 0x0606060606060606u) >> 4) & 0x0101010101010101u;
	return v + 0x3030303030303030u + letters * ('a' - '0' - 10);
}

static void put_hex(unsigned char *dst, uint64_t x) {
	uint64_t hi = __builtin_bswap64(spell((uint32_t)(x >> 32))), lo = __builtin_bswap64(spell((uint32_t)x));
	memcpy(dst, &hi, 8);
	memcpy(dst + 8, &lo, 8);
}

static inline void touch(const MDB_val *k, const MDB_val *v) {
	items++;
	sum += ((unsigned char *)k->mv_data)[k->mv_size - 1] + ((unsigned char *)v->mv_data)[0];
}

static double now(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// scan reads everything once.
static void scan(MDB_txn *txn, MDB_cursor_op first, MDB_cursor_op next) {
	MDB_cursor *c;
	MDB_val k, v;
	check(mdb_cursor_open(txn, dbi, &c), "cursor");
	int rc = mdb_cursor_get(c, &k, &v, first);
	while (rc == MDB_SUCCESS) {
		touch(&k, &v);
		rc = mdb_cursor_get(c, &k, &v, next);
	}
	if (rc != MDB_NOTFOUND)
		check(rc, "scan");
	mdb_cursor_close(c);
}

// get looks up a random key, which must be there, or must not.
static inline void get(MDB_txn *txn, int miss) {
	unsigned char key[KEY_SIZE];
	MDB_val k = {KEY_SIZE, key}, v;
	put_hex(key, below(count) * 2 + (uint64_t)miss);
	int rc = mdb_get(txn, dbi, &k, &v);
	if (miss) {
		if (rc != MDB_NOTFOUND)
			check(rc ? rc : MDB_KEYEXIST, "miss");
		return;
	}
	check(rc, "get");
	items++;
	sum += ((unsigned char *)v.mv_data)[0];
}

static void gets(MDB_txn *txn, int miss) {
	for (uint64_t i = 0; i < operations; i++)
		get(txn, miss);
}

// transactions renews txn for each operation, with a get in it or without.
static void transactions(MDB_txn *txn, int with_get) {
	for (uint64_t i = 0; i < operations; i++) {
		mdb_txn_reset(txn);
		check(mdb_txn_renew(txn), "renew");
		if (with_get)
			get(txn, 0);
	}
}

static void ranges(MDB_txn *txn) {
	MDB_cursor *c;
	unsigned char key[KEY_SIZE];
	check(mdb_cursor_open(txn, dbi, &c), "cursor");
	for (uint64_t i = 0; i < operations; i++) {
		MDB_val k = {KEY_SIZE, key}, v;
		put_hex(key, below(count) * 2);
		int rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
		for (int j = 1; rc == MDB_SUCCESS; j++) {
			touch(&k, &v);
			if (j == RANGE_ITEMS)
				break;
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
		}
		if (rc != MDB_NOTFOUND)
			check(rc, "range");
	}
	mdb_cursor_close(c);
}

static void run(MDB_txn *txn, const char *name) {
	if (!strcmp(name, "get"))
		gets(txn, 0);
	else if (!strcmp(name, "get-miss"))
		gets(txn, 1);
	else if (!strcmp(name, "get-tx"))
		transactions(txn, 1);
	else if (!strcmp(name, "begin"))
		transactions(txn, 0);
	else if (!strcmp(name, "range100"))
		ranges(txn);
	else if (!strcmp(name, "scan"))
		for (uint64_t i = 0; i < operations; i++)
			scan(txn, MDB_FIRST, MDB_NEXT);
	else if (!strcmp(name, "scan-rev"))
		for (uint64_t i = 0; i < operations; i++)
			scan(txn, MDB_LAST, MDB_PREV);
	else
		check(EINVAL, name);
}

int main(int argc, char **argv) {
	if (argc != 6) {
		fprintf(stderr, "usage: lmdb DIR WORKLOAD N OPS SEED\n");
		return 2;
	}
	count = strtoull(argv[3], NULL, 10);
	operations = strtoull(argv[4], NULL, 10);
	MDB_txn *txn;
	check(mdb_env_create(&env), "create");
	check(mdb_env_set_mapsize(env, (size_t)256 << 30), "map size");
	check(mdb_env_open(env, argv[1], MDB_RDONLY | MDB_NOTLS, 0600), "open");
	check(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "begin");
	check(mdb_dbi_open(txn, NULL, 0, &dbi), "open database");
	scan(txn, MDB_FIRST, MDB_NEXT); // everything is in the page cache and mapped
	items = sum = 0;
	state = strtoull(argv[5], NULL, 10);
	double start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	run(txn, argv[2]);
	double spent = now(CLOCK_MONOTONIC) - start;
	cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("{\"Nanoseconds\": %.0f, \"CPU\": %.0f, \"Items\": %" PRIu64 ", \"Sum\": %" PRIu64 "}\n", spent, cpu, items, sum);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return 0;
}

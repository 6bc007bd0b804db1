/**
 * A look at data.mdb before LMDB gets it. LMDB trusts the file it maps: one that is not its own, or is
 * cut off, may end the process instead of failing. So the two meta pages are read first, by the layout
 * of LMDB's data format 2, and the file is refused unless it can be what they say.
 *
 * | offset in a page | what                                                    |
 * |------------------|---------------------------------------------------------|
 * | 24               | magic number (4), format in the low half of the next 4  |
 * | 48               | page size (4): the first word of the free list's record |
 * | 88, 136          | root page of the free list and of the tree (8 each)     |
 * | 152              | number of the transaction that wrote this meta (8)      |
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const META_PAGES = 2;
const MAX_META_BYTES = 160;
const MAGIC = 0xbeefc0de;
const FORMAT = 2;
const NO_ROOT = 0xffff_ffff_ffff_ffffn;

interface Meta {
  readonly pageBytes: number;
  readonly roots: readonly bigint[];
  readonly transaction: bigint;
}

/** Throws what is wrong with the file, in LMDB's words; a file that is absent or empty is a new one. */
export function checkDataFile(path: string): void {
  const file = openIfThere(path);
  if (file === undefined) return;
  try {
    const size = fstatSync(file).size;
    if (size > 0) checkMetas(file, size);
  } finally {
    closeSync(file);
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function checkMetas(file: number, size: number): void {
  const first = readMeta(file, 0);
  const second = readMeta(file, first.pageBytes);
  const newest = second.transaction > first.transaction ? second : first;
  const pages = [BigInt(META_PAGES - 1), ...newest.roots.filter((root) => root !== NO_ROOT)];
  if (pages.some((page) => (page + 1n) * BigInt(newest.pageBytes) > BigInt(size)))
    throw new Error('MDB_CORRUPTED: the file is cut off');
}

function readMeta(file: number, position: number): Meta {
  const page = Buffer.alloc(MAX_META_BYTES);
  const length = readSync(file, page, 0, MAX_META_BYTES, position);
  if (length < MAX_META_BYTES || page.readUInt32LE(24) !== MAGIC) throw new Error('MDB_INVALID');
  if (page.readUInt16LE(28) !== FORMAT) throw new Error('MDB_VERSION_MISMATCH');
  return {
    pageBytes: page.readUInt32LE(48),
    roots: [page.readBigUInt64LE(88), page.readBigUInt64LE(136)],
    transaction: page.readBigUInt64LE(152),
  };
}

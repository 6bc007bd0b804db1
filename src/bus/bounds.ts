/** The bounds of the bus, stated once for its rules and for every store. */

/** Events that one claim hands out. */
export const MAX_CLAIM_EVENTS = 1_000;
/** Stream entries that one claim or one filtered page looks at. */
export const MAX_LOOK_EVENTS = 256;
/** Expiries that one step handles; the others read as RETRY until their turn. */
export const MAX_EXPIRIES = 256;
/** Entries that one write trims. */
export const MAX_TRIM_EVENTS = 100;
/** Of one group: waiting behind keys; marked ahead of the cursor; dead letters; consumers known. */
export const MAX_WAITING = 100_000;
export const MAX_EXCEPTIONS = 100_000;
export const MAX_DEAD_LETTERS = 100_000;
export const MAX_CONSUMERS = 10_000;
/** Of one stream. */
export const MAX_GROUPS = 64;
export const MAX_DEDUPE_RECORDS = 1_000_000;
/** Added to a lease at its claim, so that a frame that is accepted within it needs no correction. */
export const ACCEPT_GRACE_MS = 1_000;

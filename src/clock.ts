/** Time as something that is passed in, so that tests own it. */
export interface Clock {
  /** Wall time in milliseconds since 1970. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };

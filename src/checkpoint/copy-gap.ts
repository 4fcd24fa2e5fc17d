/** What ends a copy that was made in rounds: it is made again in the stop. */

/** A copy made in rounds does not add up: memory went a way that rounds do not follow. */
export class CopyGap extends Error {}

/** Begins the name of every file that is being made. Nothing else in a root is called like this. */
export const STAGED_PREFIX = '.zs-part-'

/** Lies in every root; tells whose it is, and that the disk which should be mounted there really is. */
export const MARKER_NAME = '.zstack-storage.json'

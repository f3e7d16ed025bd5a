/** Type of this provider. */
export const FLAT = 'Flat'

export { waitFor } from '#kernel'
export { createTestCloud, type TestCloud, type TestCloudOptions } from './cloud.ts'
export { buildDataCenter, type DataCenter, type DataCenterSize } from './data-center.ts'
export { type TempDatabase, tempDatabase, tempDir } from './temp-database.ts'

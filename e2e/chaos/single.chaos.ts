import { declareSeeds } from './run-seeds.ts'

declareSeeds('single', 10, false)

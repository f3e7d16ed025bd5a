import { withoutGalera } from '#testkit'
import { declareSeeds } from './run-seeds.ts'

declareSeeds('cluster', 130, withoutGalera)

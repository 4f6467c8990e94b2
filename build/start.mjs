// Makes dist/toybox current, and says nothing when it is.
import { ensureBinary, ensureModules } from "./bootstrap.mjs"

ensureModules()
ensureBinary()

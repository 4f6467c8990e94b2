/** Containers of tests have no network unless they ask for one: the machine's own links and rules stay as they are. */
process.env.TOYBOX_NETWORK ??= "none"

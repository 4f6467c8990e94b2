/** A container as an OpenRC service: openrc-run(8). */
import { commandsOf, type Service } from "./command.ts"
import { shellWord } from "./quote.ts"

const line = (words: readonly string[]) => words.map(shellWord).join(" ")

/** The script that starts what has a restart policy with the machine, and stops it with that, so that it ends in its own way. */
export const openrcBootScript = (executable: string, global: readonly string[]): string => `#!/sbin/openrc-run
# Made by: toybox generate openrc
description="Containers with a restart policy (toybox)"

depend() {
	need localmount
	after net firewall
}

start() {
	ebegin "Starting containers"
	${line([executable, "start", ...global, "--boot"])} >/dev/null
	eend $?
}

stop() {
	ebegin "Stopping containers"
	${line([executable, "stop", ...global, "--boot"])}
	eend $?
}
`

/** The text of a script for /etc/init.d. OpenRC has no restart policy for what is no daemon of its own. */
export function openrcScript(service: Service): string {
  const { name, directory } = service
  const { remove, runDetached, stop, isRunning } = commandsOf(service)
  return `#!/sbin/openrc-run
# Made by: toybox generate openrc ${name}
description=${shellWord(`Container ${name} (toybox)`)}

depend() {
	need localmount
	after net firewall
}

start() {
	ebegin ${shellWord(`Starting container ${name}`)}
	${line(remove)} >/dev/null &&
		cd ${shellWord(directory)} &&
		${line(runDetached)} >/dev/null
	eend $?
}

stop() {
	ebegin ${shellWord(`Stopping container ${name}`)}
	${line(stop)} >/dev/null && ${line(remove)} >/dev/null
	eend $?
}

status() {
	if [ "$(${line(isRunning)} 2>/dev/null)" = true ]; then
		einfo "status: started"
	else
		einfo "status: stopped"
		return 3
	fi
}
`
}

/** A container as a systemd service: systemd.unit(5), systemd.service(5). */
import { commandsOf, type Service } from "./command.ts"
import { systemdWord } from "./quote.ts"

// What toybox needs beyond the container's own patience: to kill, and to clean up.
const GRACE = 20

const line = (words: readonly string[]) => words.map(systemdWord).join(" ")

/** The unit that starts what has a restart policy with the machine, and stops it with that, so that it ends in its own way. */
export function systemdBootUnit(executable: string, global: readonly string[]): string {
  const command = (...words: readonly string[]) => line([executable, ...words])
  return [
    "# Made by: toybox generate systemd",
    "[Unit]",
    "Description=Containers with a restart policy (toybox)",
    "Wants=network-online.target",
    "After=network-online.target local-fs.target",
    "",
    "[Service]",
    "Type=oneshot",
    "RemainAfterExit=yes",
    // One that fails is told, and the others run.
    `ExecStart=-${command("start", ...global, "--boot")}`,
    `ExecStop=-${command("stop", ...global, "--boot")}`,
    // Their supervisors, and so they, are not this unit's to kill. "none" would say it, but systemd warns of that.
    "KillMode=process",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n")
}

/** The text of a unit. Whoever reads it finds there what is run, and needs nothing else of toybox. */
export function systemdUnit(service: Service): string {
  const { name, directory, stopSeconds, stopSignal, restart } = service
  const { before, run, stop } = commandsOf(service)
  const limits = restart.most === null ? [] : [`StartLimitBurst=${restart.most + 1}`, "StartLimitIntervalSec=3600"]
  return [
    `# Made by: toybox generate systemd ${name}`,
    "[Unit]",
    `Description=Container ${name} (toybox)`,
    "Wants=network-online.target",
    "After=network-online.target local-fs.target",
    ...limits,
    "",
    "[Service]",
    "Type=exec",
    // Where all paths are absolute it need not be there.
    `WorkingDirectory=-${directory.replaceAll("%", "%%")}`,
    ...before.map((words) => `ExecStartPre=${line(words)}`),
    `ExecStart=${line(run)}`,
    `ExecStop=${line(stop)}`,
    `TimeoutStopSec=${stopSeconds < 0 ? "infinity" : stopSeconds + GRACE}`,
    `Restart=${restart.when}`,
    "RestartSec=1",
    // Of a command that ends by its stop signal; not 137, which may be for want of memory.
    `SuccessExitStatus=${128 + stopSignal}`,
    "KillMode=mixed",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n")
}

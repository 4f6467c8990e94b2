/** Directories of the base image and their modes, parents first. */
export const DIRECTORIES: readonly (readonly [path: string, mode: number])[] = [
  ["/bin", 0o755],
  ["/sbin", 0o755],
  ["/usr", 0o755],
  ["/usr/bin", 0o755],
  ["/usr/sbin", 0o755],
  ["/usr/local", 0o755],
  ["/usr/local/bin", 0o755],
  ["/usr/local/sbin", 0o755],
  ["/usr/share", 0o755],
  ["/usr/share/doc", 0o755],
  ["/etc", 0o755],
  ["/root", 0o700],
  ["/home", 0o755],
  ["/tmp", 0o1777],
  ["/var", 0o755],
  ["/var/lib", 0o755],
  ["/var/log", 0o755],
  ["/var/tmp", 0o1777],
  ["/var/spool", 0o755],
  ["/var/spool/cron", 0o755],
  ["/proc", 0o555],
  ["/sys", 0o555],
  ["/dev", 0o755],
  ["/run", 0o755],
  ["/mnt", 0o755],
  ["/opt", 0o755],
  ["/srv", 0o755],
]

/** Symbolic links beside those to busybox. */
export const LINKS: readonly (readonly [path: string, target: string])[] = [
  ["/etc/mtab", "/proc/self/mounts"],
  ["/var/run", "/run"],
]

/** Files that are bound over in every container: here already, so that none has to be made in the upper layer. */
export const EMPTY_FILES: readonly string[] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]

/** The files of /etc. */
export const ACCOUNT_FILES: Readonly<Record<string, string>> = {
  "/etc/passwd": `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`,
  "/etc/group": `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
kmem:x:9:
wheel:x:10:root
cdrom:x:11:
dialout:x:18:
floppy:x:19:
video:x:28:
audio:x:29:
www-data:x:33:
operator:x:37:
utmp:x:43:
users:x:100:
nogroup:x:65534:
`,
  "/etc/profile": `export PATH="\${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
export PS1='\\u@\\h:\\w\\$ '
umask 022
`,
  "/etc/shells": "/bin/sh\n/bin/ash\n",
  "/etc/os-release": `NAME="toybox base"
ID=toybox-base
PRETTY_NAME="toybox base (busybox)"
`,
}

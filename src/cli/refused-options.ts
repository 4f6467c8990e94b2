/** Options of docker's and podman's `run` that toybox has not, and what to do instead. */
export const REFUSED_OPTIONS: Readonly<Record<string, string>> = {
  runtime: "toybox is the runtime itself: leave it out",
  gpus: "give the devices that it needs: --device /dev/nvidia0",
  link: "containers of one network know each other's names: toybox network create NAME, then --net NAME",
  "storage-opt": "a root has no quota of its own: leave it out; a volume can have one (toybox volume create -o)",
  "volume-driver": "volumes are directories, or what volume create -o mounts: leave it out",
  rootfs: "a directory with a root file system is given in the place of the image",
  pod: "containers share namespaces by --net, --ipc and --pid container:NAME",
  secret: "a file is given by -v FILE:/run/secrets/NAME:ro, a variable by --env-file",
  uidmap: "containers have the machine's user ids: leave it out",
  gidmap: "containers have the machine's user ids: leave it out",
  "disable-content-trust": "an image is held to its digest by NAME@sha256:…: leave it out",
}

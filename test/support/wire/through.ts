/** A disk that passes every operation through a function. */
import type { Disk } from '../../../src/storage/disk/io/disk.ts';

/** @param target the path or descriptor of the operation */
export type Around = <T>(operation: keyof Disk, target: string | number, work: () => Promise<T>) => Promise<T>;

export function through(disk: Disk, around: Around): Disk {
  return {
    open: (path, mode, permissions) => around('open', path, () => disk.open(path, mode, permissions)),
    close: (fd) => around('close', fd, () => disk.close(fd)),
    read: (fd, into, position) => around('read', fd, () => disk.read(fd, into, position)),
    write: (fd, bytes, position) => around('write', fd, () => disk.write(fd, bytes, position)),
    size: (fd) => around('size', fd, () => disk.size(fd)),
    truncate: (fd, size) => around('truncate', fd, () => disk.truncate(fd, size)),
    datasync: (fd) => around('datasync', fd, () => disk.datasync(fd)),
    mkdir: (path) => around('mkdir', path, () => disk.mkdir(path)),
    readdir: (path) => around('readdir', path, () => disk.readdir(path)),
    rename: (from, to) => around('rename', from, () => disk.rename(from, to)),
    link: (from, to) => around('link', from, () => disk.link(from, to)),
    unlink: (path) => around('unlink', path, () => disk.unlink(path)),
    rm: (path) => around('rm', path, () => disk.rm(path)),
    syncDir: (path) => around('syncDir', path, () => disk.syncDir(path)),
  };
}

"""MicroPython source that `recover` runs on a board, which may be in any state but without a REPL."""

from __future__ import annotations

CALM = """\
import json,os,sys
def _calm():
    running=False
    cause=''
    if sys.platform=='rp2':
        import machine
        control=0x400d8000 if 'RP2350' in sys.implementation._machine else 0x40058000
        running=bool(machine.mem32[control]>>30&1)
        machine.mem32[control+0x3000]=1<<30
        cause='watchdog' if machine.reset_cause()==machine.WDT_RESET else 'power'
    def there(path):
        try:
            os.stat(path)
        except OSError:
            return False
        return True
    print(json.dumps({'machine':getattr(sys.implementation,'_machine',sys.platform),'watchdog':running,
        'cause':cause,'main':there('/main.py'),'boot':there('/boot.py')}))
_calm()
"""
"""Stops a watchdog (RP2040 datasheet 4.7.6 and RP2350 datasheet 12.9.7, CTRL.ENABLE, by the alias that clears bits),
and prints facts as JSON."""

MOUNT = """\
import os,vfs,rp2
def _mount():
    try:
        vfs.mount(vfs.VfsLfs2(rp2.Flash(),progsize=256),'/')
        os.chdir('/')
    except OSError:
        pass
if not len(os.listdir('/')):
    _mount()
"""
"""Mounts the filesystem where the rescue image has not; one that is damaged is left alone."""

RESET = "import machine\nmachine.reset()\n"

QUARANTINE = """\
import os
def quarantine(path):
    number=0
    target=path+'.bad'
    while True:
        try:
            os.stat(target)
        except OSError:
            break
        number+=1
        target='%s.bad%d'%(path,number)
    os.rename(path,target)
    print(target)
"""
"""quarantine(path): renames a file so that it does not run, never over another; prints its new name."""

FILES = """\
import os,json,gc
def check():
    files=[]
    unreadable=[]
    error=''
    free=0
    room=bytearray(1024)
    def walk(folder):
        for entry in os.ilistdir(folder or '/'):
            path=folder+'/'+entry[0]
            if entry[1]==0x4000:
                walk(path)
                continue
            files.append((path,entry[3]))
            try:
                with open(path,'rb') as f:
                    while f.readinto(room):
                        pass
            except OSError:
                unreadable.append(path)
            gc.collect()
    try:
        walk('')
    except OSError as e:
        error='%s'%e
    try:
        space=os.statvfs('/')
        free=space[1]*space[4]
        if free>space[1]:
            with open('/.check','wb') as f:
                f.write(room)
            os.remove('/.check')
    except OSError as e:
        error='%s'%e
    print(json.dumps({'files':files,'unreadable':unreadable,'error':error,'free':free}))
"""
"""check(): reads every file and writes one; prints names and sizes, what cannot be read, room, what went wrong."""

FORMAT = """\
import os,vfs,rp2
try:
    vfs.umount('/')
except OSError:
    pass
_flash=rp2.Flash()
vfs.VfsLfs2.mkfs(_flash,progsize=256)
vfs.mount(vfs.VfsLfs2(_flash,progsize=256),'/')
os.chdir('/')
"""

"""MicroPython source that the host runs on a board by its raw REPL.

It must run on any MicroPython from 1.24 on, with the file system as the board has it and no firmware of ours. INSTALL
uses what SURVEY defined. Values that live long are few and files are closed before the next is opened: a heap that
fills up with both in turn has no hole left for a file's buffers. finish() moves before it looks: where power failed
between a move's two halves, LittleFS hides the file after the moved one, too, until something is first written.
"""

from __future__ import annotations

SURVEY = """\
import os,sys,hashlib,json,gc
from binascii import hexlify
room=memoryview(bytearray(4096))
def kind(path):
    try:
        return os.stat(path)[0]
    except OSError:
        return 0
def digest(f):
    h=hashlib.sha256()
    while True:
        n=f.readinto(room)
        if not n:
            break
        h.update(room[:n])
    return hexlify(h.digest()).decode()
def sha(path):
    with open(path,'rb') as f:
        return digest(f)
def walk(folder,each):
    for entry in os.ilistdir(folder):
        path=folder+'/'+entry[0]
        if entry[1]==0x4000:
            walk(path,each)
        else:
            each(path)
def tell(path):
    print(path,sha(path),sep='\\t')
    gc.collect()
def clear(folder):
    if not kind(folder):
        return False
    for entry in list(os.ilistdir(folder)):
        path=folder+'/'+entry[0]
        if entry[1]==0x4000:
            clear(path)
        else:
            os.remove(path)
    os.rmdir(folder)
    return True
def parents(path):
    at=path.find('/',1)
    while at>0:
        if not kind(path[:at]):
            os.mkdir(path[:at])
        at=path.find('/',at+1)
def finish():
    with open('/.journal') as f:
        journal=json.load(f)
    for source,target in journal['move']:
        try:
            os.rename(source,target)
        except OSError:
            if kind(source):
                parents(target)
                os.rename(source,target)
    for path in journal['delete']:
        if kind(path):
            os.remove(path)
    os.remove('/.journal')
    clear('/.new')
def survey(hashes):
    interrupted=True
    if kind('/.journal'):
        finish()
    else:
        interrupted=clear('/.new')
    if kind('/.boots'):
        os.remove('/.boots')
    try:
        import deflate
        inflates=True
    except ImportError:
        inflates=False
    space=os.statvfs('/')
    i=sys.implementation
    print(json.dumps({'mpy':getattr(i,'_mpy',0),'version':i[1][:3],'machine':getattr(i,'_machine',sys.platform),
        'deflate':inflates,'free':space[1]*space[4],'block':space[1],'interrupted':interrupted}))
    if kind('/bodydouble.json'):
        with open('/bodydouble.json','rb') as f:
            while True:
                text=f.read(512)
                if not text:
                    break
                sys.stdout.write(text)
    print()
    if hashes:
        if kind('/coproc'):
            walk('/coproc',tell)
        for path in ('/main.py','/bodydouble.json'):
            if kind(path):
                tell(path)
"""
"""survey(hashes): facts as JSON on a line, the manifest on the next, then path, tab, SHA-256 of every file of ours.

A journal that is found is finished, what an interrupted deploy left is cleared, and so is the loader's count of boots
that failed: safe mode is over once a host has looked.
"""

INSTALL = """\
import io
def receive(files,bits,chunk):
    if bits:
        import deflate
    source=sys.stdin.buffer
    head=bytearray(5)
    data=bytearray(chunk+chunk//8+16)
    view=memoryview(data)
    whole=memoryview(bytearray(chunk if bits else 0))
    places=bytearray(0)
    folder=''
    total=sum(size for _,size in files)
    number=-1
    left=0
    f=None
    def check():
        # Read back through the same handle: to open a file again is to search every folder above it again.
        f.flush()
        f.seek(0)
        said=digest(f)
        f.close()
        print(said)
    def following():
        # The next file that has bytes to come; empty ones are made on the way.
        nonlocal f,left,number,folder
        while not left:
            if f:
                check()
                f=None
            number+=1
            if number==len(files):
                return
            path,left=files[number]
            if path[:path.rfind('/')]!=folder:
                folder=path[:path.rfind('/')]
                parents(path)
            f=open(path,'w+b')
    following()
    while total:
        source.readinto(head)
        n=(head[1]&127)<<7|head[2]&127
        m=((head[3]&127)<<7|head[4]&127)*2
        piece=view[:n]
        source.readinto(piece)
        if m:
            if len(places)<m:
                places=bytearray(m)
            source.readinto(memoryview(places)[:m])
            for i in range(0,m,2):
                data[(places[i]&127)<<7|places[i+1]&127]=3
        if head[0]&1:
            n=deflate.DeflateIO(io.BytesIO(piece),deflate.RAW,bits).readinto(whole)
            piece=whole
        at=0
        while at<n:
            k=min(left,n-at)
            f.write(piece[at:at+k])
            at+=k
            left-=k
            if not left:
                following()
        total-=n
        gc.collect()
        print('+')
def keep(path):
    number=0
    target=path+'.bak'
    while kind(target):
        number+=1
        target='%s.bak%d'%(path,number)
    with open(path,'rb') as source:
        with open(target,'wb') as sink:
            while True:
                n=source.readinto(room)
                if not n:
                    break
                sink.write(room[:n])
    print(target)
def commit(journal):
    with open('/.journal.new','w') as f:
        f.write(journal)
    os.rename('/.journal.new','/.journal')
    finish()
"""
"""receive(files, bits, chunk): takes records from standard input and writes what they hold to (path, size) in turn.

A record is a kind (0x80, or 0x81 where the data is a raw deflate stream), a length and a count (two bytes of seven
bits each, the high bit set), the data with every 0x03 replaced, and the positions where 0x03 belongs: no byte is
Ctrl-C, which therefore ends it at any moment. Each is answered by a line `+` once it is written, before which stands
a line for every file that it completed: the SHA-256 of the file as it reads back from the flash.

keep(path): copies a file of the user's beside itself, never over another; prints where to.
commit(journal): the point of no return; from the rename on, the new files are the board's.
"""

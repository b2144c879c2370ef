"""The ten splits that Geom-GCN published for each of its graphs, and where its files are."""

import os

import numpy as np
import torch
from torch import Tensor

from ._download import fetch
from ._errors import DatasetError
from ._generated import as_count
from ._npz import arrays

URL = (
    "https://raw.githubusercontent.com/graphdml-uiuc-jlu/geom-gcn/"
    "f1fc0d14b3b019c562737240d06ec83b07d16a8f/"
)
CITATION = (
    "H. Pei, B. Wei, K. C.-C. Chang, Y. Lei, B. Yang. Geom-GCN: geometric graph convolutional "
    "networks. ICLR 2020."
)
_MASKS = ("train_mask", "val_mask", "test_mask")


def as_split(split: int) -> int:
    """The number of a split."""
    return as_count("split", split, 0, 9)


def masks(
    name: str,
    split: int,
    num_nodes: int,
    category: str,
    folder: str,
    root: str | os.PathLike | None = None,
) -> dict[str, Tensor]:
    """`train_mask`, `val_mask` and `test_mask` [N] of a split of the graph `name`.

    Raises:
        DatasetError: the file cannot be had, or is damaged.
    """
    file = f"{name}_split_0.6_0.2_{split}.npz"
    path = fetch(category, folder, file, _CHECKSUMS[name][split], [f"{URL}splits/{file}"], root)
    return parse(path.read_bytes(), file, num_nodes)


def parse(data: bytes, source: str, num_nodes: int) -> dict[str, Tensor]:
    """The masks [N] in the bytes of a file. Some files have them as booleans, some as 0 and 1.

    Raises:
        DatasetError: the file is not in this format, or is of a graph of another size.
    """
    found = arrays(data, source, _MASKS)
    for name, mask in found.items():
        if mask.shape != (num_nodes,):
            raise DatasetError(f"{source}: {name} must have shape ({num_nodes},), got {mask.shape}")
        if mask.dtype not in (np.bool_, np.uint8) or mask.max() > 1:
            raise DatasetError(f"{source}: {name} must hold booleans, or 0 and 1")
    if sum(found.values(), np.zeros(num_nodes, dtype=np.int64)).max() > 1:
        raise DatasetError(f"{source}: no node may be in two masks")
    return {name: torch.from_numpy(mask.astype(bool)) for name, mask in found.items()}


_CHECKSUMS = {
    "cora": [
        "619931e6c3f0248bf9c7b6be24680a0a617bcfaba661cb0d7afaee8e18a74a51",
        "d24be667034cb15a55bbf512dbae07b39c758eed66a9ba27106fa795422fe11c",
        "811fb695c4c9ab0a53ab3a665bf4232652a08a6e38faac5b43a7da43a8454b74",
        "9d9c19d88a689b76a4b97e8694ef8d20cb0f1b192bbd05a0d5649c91f0cb6ef4",
        "3040b6bc0ddfff3757d55f514becf0b1b6b2e382114bfb0bc900dbcbb58fca17",
        "52373862971060e366829930332acabaa90cc6f41019c52bf6c92e4c22f8f093",
        "07847ea94e8b19970cf86731f19869aac0c56310d27f687d0feb9553d7525dd6",
        "262573079c8b1f4bc043d32edd3d23a6c36f1d7258efe60c11a6197ba0eee560",
        "d6c6a2163aeadd103ae386e800e473d2388da866f3f464199180d9b0e2f7d6cc",
        "9d236d0cf723871d88dea567afe92d50c11d0ffba280349a5cc7f5f2ea42202f",
    ],
    "citeseer": [
        "31d483e4c9cbdd031c35e284fbda3935bfda6901b8618e4ef0381af5b9143582",
        "1e02e3220676a90715b5a868b207dc19f49e5bc13ef1e8a8c8305fb46e028659",
        "910ce9d1a9c12f2ce84486fa7d1953d560c2cf57f9e0c213a4ae362ca56bff77",
        "e8c84d2e0099b3c0d692a68126c03370579f0cd83c0dab42b25a0fb3b94cb2c6",
        "a45c9e6b4abe527499a1a1bf545063cdc910c82ef4676f1ef4e483bb77712c8e",
        "fc0f6091daab2b0f37a3522dbc60052d9bce4209e7c06482f6beb61a4ed442b9",
        "c99f610ff84bf5f5c3fe71b548c3cdf9c9bf02185d0152432b290877df1c4a3b",
        "26bb7e5ea3aed014df5765af845fae70db9cdbb8875c46fc89cc4d6d042fb182",
        "f8efadce7a3732ac39ec6625f591c9ed0b4222d95257f25f2a05ad5518e4a7eb",
        "d9e586dad1886b3e1fdf3999140a192bb0cacea67c7849262ec862b8e7286cdf",
    ],
    "pubmed": [
        "a15825b5bf77ffd2e9179e354f455bb9a6f8c4886cb28796688a38d45d75bdc9",
        "51f2349156410d851859ff4858ecd401d05d024f1a3936250dd8e844a6fd527b",
        "d94a2a3d607f23d7dc88dabb966db7c7da187e0a2af3c848d88ab0c5452c4a2b",
        "62c389ddac567fcd25654db846fc693973c69cddf083f5495d33b592a768515e",
        "3b2bbeb2f4bbee257bb4c626c15c3e3dd0e9da6ed23bf16f6ac520b95e18f84d",
        "23aea01576f71aa165cd70564fb53b3f158d1ff71c1227e062797870fe130551",
        "9122bd4e8e42cab8d33e952693d18d0f49c5f11327b922baefb81228ee903c44",
        "958706e960939c716a5204671c08399864600ce82094755b2e61975137ccfae9",
        "764dd33802022d7ab2595f08f21b424e83007aceeb5f85c9403c74bf791f56f6",
        "b9d4b4362fc02751c168f68f4120ab2fb516f4c84d447571653f1cd692946a66",
    ],
    "cornell": [
        "14022a1e19ec7fc0a07a2c06a785a2f9dc52809dbcd1c14fc318f7800675d73f",
        "5568fa27e968a724c92211bf97026a36a08893cf94b218043e49b4c973c35cfb",
        "763fc1f423395e4172617fa5b6bc0d7adad2241e5fedd1a4f0a098a67f9dc8e9",
        "4334321cd9ec42de9d51107fb9a6dc310512e0921bc1cff0f390301ee37315fa",
        "2b6b3ef396f4dc7fcdc276fb16b88bb87409b25879dd672b3a506eca844dd8d7",
        "1a40ef8b20aa9e1aa850e1abdaba3efac1f66c98ef2c6a59eadefa21136ece6b",
        "bcddf4ab59eae4c7d47b8a6cec9025a54ec0e6d3f3bdcd7678e201f25ace4642",
        "2b497e12dfc123d7e7c9bb4fc4a82b5bee18409e109a3e3a04da439cacec964d",
        "5c4e110d252d7ad156b2e4cd34b6dbd1cecbcc1755f8d72e932cc2a54f2b643c",
        "80f1531807194d301affbf6f879a4ab4f56a19bdccb62d192e3ecd1b5275f052",
    ],
    "texas": [
        "7ba77bf7a8856fcc0ab15623a611b8cdce994e820f577da914123fb4f45272b0",
        "21cc244a96e3c51ad7993afb4dd227f90e467d82b964bb42d7d9fc500a6ef87f",
        "b9e96a699ccf3a4c31ffbd03e52b25570889833425d20fa44e06c37b327cf61e",
        "1a7deeb1285009789d5e6045d7e39f7d019c9223d9a75a2b7ce5e26d33b51f63",
        "b5419ff3fe31adcae66fdb085d4f47d0b188e9436ab59f438632af969aafc674",
        "68405fd1b9ff6105d99717220ecbd198785e338bf4a73abee722bbc9703d2667",
        "8ad78b973164e70e5ac0d282e79adcbc6006e373909fbdfd72a13131e09040b8",
        "a84bcbf997365bddf5fdf72ed49dc7e435e475f8c6210f8cdee7c8581a2bd6df",
        "65ba65f296f91d40d2d7d3c9369b67415094a7e254c6eee48cd6d6531c586fdf",
        "4306981d654ad8835c000c1f73fb6c1e60dfe99e26c13a6073f3b0f4cc3ce6ee",
    ],
    "wisconsin": [
        "f66f641e191d35d491cd3b63d6c2cd93c4b436da398984b44c19a8d4d7e7b1a5",
        "534aeb97266bd5a85a8587adf8eebad3f2e001c1240610f24b62c0ad0c2466ee",
        "047a5b641778ec3a4c76055fd7f18ecb2424c0952f20dfff7e1b17749d8acbdd",
        "706c27b4c51d046c0316f1e915f093e4a1fff48b3436b3e7c421eab596a99e77",
        "7ee813605eec086457aaff022cf3837f2f893fcf8bd37e3a8d2ff0c80e4c4f87",
        "8094ac2bdaf2cbea8f7a48df66a0800c809b2fd5942740e6b0441b660d3a0dd5",
        "c423a8deea9b18f9ecb6cfd703578e2159df167de01fe7e6195b88995010252d",
        "57ad808c8d4dd94dc4404124370bbcebb3dcc597c2bea6457bf05f220adf1527",
        "27d4d62a2a6aea2cdc399302237512ab0d64fb0c84e648112f97c5896274e42f",
        "3c149cd124a19021031609e0d7743a7be59aae4f88c8d38410138e8f06f5daaf",
    ],
    "film": [
        "4505a41d4e90abd94d1ec22571ce528b09ad7cf20d87f764aebd4177590767f5",
        "1871b0d24e3977c41e378fd24acc8025b63f86b77739be77a5b558d1287f207d",
        "d26680e911ef3ecc9fc2a26d90c9d35028c63aadd7a5aea774649d1496c282cb",
        "6755ad5f6a0be8594b344af3d2261eed935b83b73c4d70136e1a7beea7f78cb0",
        "328fdca62b25074f21f2922518e042f24b3b8a1fc378f9dfb2cae36439aed902",
        "5b3161a8dc8de4b2e651ebd56d68e768d1377044895b325566117fe26ab81cb7",
        "e251b38abd4d7931b5e9ae5aba99dcdf87f0be283bdf6e65421274a1c9ef1df6",
        "12164ef9f5620a2f12a387f4f2b8636859d42201101d6d32829ade62d5a98326",
        "405cd1f7f631f678119f8bf2405809e86614d532985beb59566fcf95abd35b3f",
        "505691c5d41bb37b20d085415dcdde2e8e68b5bc4e1feb2c0e361308002012bb",
    ],
}

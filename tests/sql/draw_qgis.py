"""Opens a QGIS project without a screen and draws its visible layers at the extent of their data.

Usage: draw_qgis.py PROJECT IMAGE   prints JSON: for each layer whether it can be read and its features; how many pixels have which colour"""
import collections
import json
import os
import sys

os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import (QgsApplication, QgsCoordinateTransform, QgsMapRendererSequentialJob, QgsMapSettings, QgsProject,  # noqa: E402
                       QgsRectangle, QgsVectorLayer)
from qgis.PyQt.QtCore import QSize  # noqa: E402


def main():
    application = QgsApplication([], False)
    application.initQgis()
    project = QgsProject.instance()
    assert project.read(sys.argv[1]), project.error()
    layers, corners = {}, []
    for name, layer in project.mapLayers().items():
        vector = isinstance(layer, QgsVectorLayer)
        layers[name] = {"valid": layer.isValid(), "features": layer.featureCount() if vector and layer.isValid() else None,
                        "shown": project.layerTreeRoot().findLayer(name).isVisible(),
                        "notified": layer.isRefreshOnNotifyEnabled(),
                        "aliases": sorted(layer.attributeAliases().values()) if vector else []}
        # Not by layer.extent(), which is empty for a single point.
        to = QgsCoordinateTransform(layer.crs(), project.crs(), project)
        for feature in layer.getFeatures() if vector and layer.isValid() else ():
            geometry = feature.geometry()
            if geometry.isNull():
                continue
            geometry.transform(to)
            box = geometry.boundingBox()
            corners += [(box.xMinimum(), box.yMinimum()), (box.xMaximum(), box.yMaximum())]
    settings = QgsMapSettings()
    settings.setLayers([node.layer() for node in project.layerTreeRoot().findLayers() if node.isVisible()])
    settings.setDestinationCrs(project.crs())
    settings.setTransformContext(project.transformContext())
    extent = QgsRectangle(*(min(corner[i] for corner in corners) for i in (0, 1)), *(max(corner[i] for corner in corners) for i in (0, 1)))
    extent.grow(500)
    settings.setExtent(extent)
    settings.setOutputSize(QSize(600, 600))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    image.save(sys.argv[2])
    colours = collections.Counter()
    for x in range(image.width()):
        for y in range(image.height()):
            colour = image.pixelColor(x, y)
            colours[f"{colour.red()},{colour.green()},{colour.blue()}"] += 1
    opened = project.viewSettings().defaultViewExtent()
    print(json.dumps({"opens_at": [opened.crs().authid(), opened.xMinimum(), opened.yMinimum(), opened.xMaximum(), opened.yMaximum()],
                      "layers": layers, "colours": colours.most_common(200), "crs": project.crs().authid(),
                      "extent": [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()],
                      "errors": [f"{error.layerID}: {error.message}" for error in job.errors()]}))
    del job
    project.clear()
    application.exitQgis()


main()
